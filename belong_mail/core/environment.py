"""Where the project's files are; settings from the environment or from files that it names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

PREFIX = "BELONG_"
_PACKAGE = Path(__file__).resolve().parents[1]
# Templates, emails and translations are in the package in a wheel, beside it in a checkout.
IS_INSTALLED = (_PACKAGE / "templates").is_dir()
RESOURCES = _PACKAGE if IS_INSTALLED else _PACKAGE.parent
# Where the package is.
LIBRARY = _PACKAGE.parent
# The folder of wsgi.py, work.py and config.py; a wheel keeps them where they hide no one else's.
ENTRY_POINTS = _PACKAGE / "entry" if IS_INSTALLED else LIBRARY
# Relative paths in settings start here: the project's root, or the current folder.
ROOT = Path.cwd() if IS_INSTALLED else _PACKAGE.parent
# The schema's last step: each is named by the version that brings it, as in `1_0_all_tables.py`.
NEWEST_REVISION: Final = "{}.{}".format(
    *max(
        tuple(map(int, file.name.split("_")[:2]))
        for file in (_PACKAGE / "migrations/versions").glob("[0-9]*.py")
    )
)


def value_of(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of NAME, or else the content of the file that NAME_FILE names, or None.

    Relative paths start at ROOT. Raises OSError or UnicodeDecodeError if the file cannot be read.
    """
    if name in environ:
        return environ[name]
    file = environ.get(f"{name}_FILE")
    return None if file is None else (ROOT / file).read_text().strip()
