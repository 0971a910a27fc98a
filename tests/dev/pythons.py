"""The Pythons that dev.py is tried with, each also as a machine has it that lacks ensurepip."""

import shutil
import subprocess
import sys
from pathlib import Path


def pythons() -> list[str]:
    """Return this Python and, where the system has another that serves, that one too."""
    own = sys.version_info.minor
    other = [f"/usr/bin/python3.{minor}" for minor in range(11, 20) if minor != own]
    found = [python for python in other if Path(python).exists()]
    return [str(Path(sys.base_prefix) / "bin" / f"python3.{own}"), *found][:2]


def without_ensurepip(python: str, folder: Path) -> str:
    """Make a Python out of links to another: all of it, but for the one package.

    Debian ships Python so. Hiding the package in another way is not enough: `venv` starts it in
    isolation from the environment.
    """
    code = "import os; print(os.path.dirname(os.__file__))"
    library = Path(subprocess.check_output([python, "-c", code], text=True).strip())
    own = folder / "lib" / library.name
    own.mkdir(parents=True)
    for each in library.iterdir():
        if each.name != "ensurepip":
            (own / each.name).symlink_to(each)
    if (library.parent / "python3").is_dir():
        (folder / "lib" / "python3").symlink_to(library.parent / "python3")
    (folder / "bin").mkdir()
    return str(shutil.copy2(python, folder / "bin" / "python3"))
