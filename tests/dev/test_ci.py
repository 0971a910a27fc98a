"""`.ci/run`: the one command, on a machine that gets the browser it lacks."""

import shutil
import subprocess
from pathlib import Path

from tests.dev.checkout import ROOT

DEV_PY = 'echo "$BELONG_REQUIRE_BROWSER $CI $@"'
APT_THAT_FAILS_ONCE = """
echo "$@" >> "$LOG"
[ "$1" = update ] && exit
[ -e "$LOG.once" ] || { : > "$LOG.once"; exit 100; }
ln -s /bin/true "$(dirname "$LOG")/chromium"
"""


def ci(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run it where every program is a few lines of shell."""
    for name, script in {"python3": DEV_PY, "sleep": "true", **programs}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    for name in ("dirname", "ln"):
        (folder / name).symlink_to(shutil.which(name) or name)
    command = [shutil.which("bash") or "bash", str(ROOT / ".ci" / "run")]
    env = {"PATH": str(folder), "LOG": str(folder / "log")}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_it_runs_the_one_command_and_demands_a_browser(tmp_path: Path) -> None:
    answer = ci(tmp_path, chromium="echo Chromium")
    assert (answer.returncode, answer.stdout) == (0, "Chromium\n1 true dev.py test\n")


def test_it_fails_as_the_suite_does(tmp_path: Path) -> None:
    assert ci(tmp_path, chromium="true", python3="exit 4").returncode == 4


def test_it_installs_a_browser_and_tries_twice(tmp_path: Path) -> None:
    answer = ci(tmp_path, **{"apt-get": APT_THAT_FAILS_ONCE})
    assert answer.returncode == 0, answer.stderr
    install = "install -qy --no-install-recommends chromium"
    assert (tmp_path / "log").read_text().splitlines() == ["update -q", install] * 2


def test_it_does_not_pass_without_a_browser(tmp_path: Path) -> None:
    answer = ci(tmp_path, **{"apt-get": "true"})
    assert answer.returncode != 0
    assert "dev.py test" not in answer.stdout
