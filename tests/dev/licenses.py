"""Write docs/licenses.md from what the packages that run say: `python -m tests.dev.licenses`."""

import re
from importlib.metadata import metadata
from textwrap import fill

from tests.dev.checkout import ROOT

FILE = ROOT / "docs" / "licenses.md"
LOCK = ROOT / "requirements" / "run.txt"
HEAD = """# Licenses

<!-- Written by `python -m tests.dev.licenses`; a test compares it with what the packages say. -->

Belong Mail is under the [Apache License 2.0](../LICENSE). It runs with the packages below, which
are installed beside it and not changed. All of them allow any use. Whoever passes psycopg on, as in
a container image, passes on its license (LGPL) and lets it be replaced, as pip does; for pikepdf
and fido2 (MPL-2.0) it is enough to say where their source is. `.ci/audit` writes the same list,
with versions, for machines (`var/sbom.json`).
"""
# Older names of licenses, in the words of SPDX.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "DFSG approved": "Zlib",
    "The Unlicense (Unlicense)": "Unlicense",
}
# Those that bring the license's text alone.
UNNAMED = {"pyrage": "MIT"}


def packages() -> list[str]:
    return re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.MULTILINE)


def license_of(package: str) -> str:
    """Return the license as the package says it: by SPDX, else by its classifiers."""
    about = metadata(package)
    if "License-Expression" in about:
        return about["License-Expression"]
    said = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or ()]
    known = sorted(SPDX[each] for each in said if each in SPDX)
    return " AND ".join(known) or about["License"] or UNNAMED[package]


def page() -> str:
    """List the packages by license."""
    under: dict[str, list[str]] = {}
    for each in packages():
        under.setdefault(license_of(each), []).append(each)
    said = (f"- {name}: {', '.join(under[name])}" for name in sorted(under))
    lines = [fill(each, 100, subsequent_indent="  ", break_on_hyphens=False) for each in said]
    return "\n".join([HEAD, *lines, ""])


if __name__ == "__main__":
    FILE.write_text(page())
