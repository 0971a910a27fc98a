"""Lighthouse on every public page: `python -m tests.browser.lighthouse` (needs npx, chromium)."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import FLAGS, MISSING, PATH
from tests.browser.site import SLUG, Site

# Not among our dependencies: npx fetches it when it is not there.
PROGRAM = os.environ.get("LIGHTHOUSE", "npx --yes lighthouse")
PAGES = (
    "/", f"/groups/{SLUG}", "/groups/autoimmune", f"/groups/{SLUG}/join", "/my-groups", "/contact",
    "/sign-in", "/privacy", "/accessibility", "/check-your-inbox", "/calendar", "/new-colleagues",
    "/new-colleagues/mail", f"/groups/{SLUG}/poster", "/contact/answer",
    "/groups/autoimmune/tell-me",
)  # fmt: skip
# The least of each, as the median of the rounds. SEO counts on the directory alone.
KINDS = {"accessibility": 100, "best-practices": 100, "performance": 95, "seo": 0}
ROUNDS = 5
TRIES = 6


def measure(url: str, folder: Path) -> dict[str, int]:
    """Run Lighthouse once, as a phone on a slow line; return the scores."""
    result = folder / "result.json"
    arguments = ["--quiet", "--output=json", f"--output-path={result}"]
    arguments += [f"--chrome-flags=--headless=new {' '.join(FLAGS)}"]
    arguments += [f"--only-categories={','.join(KINDS)}"]
    environment = {**os.environ, "CHROME_PATH": str(PATH)}
    command = [*PROGRAM.split(), url, *arguments]
    for left in reversed(range(TRIES)):  # it loses a trace now and then
        if not subprocess.run(command, env=environment, check=left == 0).returncode:
            break
    found = json.loads(result.read_text())["categories"]
    return {kind: round(100 * found[kind]["score"]) for kind in KINDS}


def main(rounds: int) -> int:
    """Print the median of each page's scores; 1 where one is below what we aim for."""
    is_below = False
    with tempfile.TemporaryDirectory() as state, Site(Path(state)) as site:
        for path in PAGES:
            runs = [measure(site.url + path, Path(state)) for _ in range(rounds)]
            scores = {kind: statistics.median(run[kind] for run in runs) for kind in KINDS}
            least = {**KINDS, "seo": 100 if path == "/" else 0}
            is_below |= any(scores[kind] < least[kind] for kind in KINDS)
            print(path, *(f"{kind} {score:g}" for kind, score in scores.items()), flush=True)  # noqa: T201
    return 1 if is_below else 0


if __name__ == "__main__":
    if PATH is None or shutil.which(PROGRAM.split()[0]) is None:
        sys.exit(f"{MISSING} Lighthouse needs npx, or LIGHTHOUSE=/path/to/lighthouse.")
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
