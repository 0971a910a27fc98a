"""Locate the project's files; read settings from variables, or from files that variables name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

PREFIX = "BELONG_"
_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has templates, emails and translations inside the package, a checkout beside it.
IS_INSTALLED = (_PACKAGE / "templates").is_dir()
RESOURCES = _PACKAGE if IS_INSTALLED else _PACKAGE.parent
# Where the package is.
LIBRARY = _PACKAGE.parent
# The folder of wsgi.py, work.py and config.py; a wheel has it inside, as their names are common.
ENTRY_POINTS = _PACKAGE / "entry" if IS_INSTALLED else LIBRARY
# Relative paths in settings start here: the project's root, or the current folder.
ROOT = Path.cwd() if IS_INSTALLED else _PACKAGE.parent
# The newest migration: the version that starts its file's name, as in `1_0_all_tables.py`.
NEWEST_REVISION: Final = "{}.{}".format(
    *max(
        tuple(map(int, file.name.split("_")[:2]))
        for file in (_PACKAGE / "migrations/versions").glob("[0-9]*.py")
    )
)


def value_of(name: str, environ: Mapping[str, str]) -> str | None:
    """Return a variable's value, or the content of the file in NAME_FILE, or None.

    A relative path starts at ROOT. Raises OSError or UnicodeDecodeError.
    """
    if name in environ:
        return environ[name]
    file = environ.get(f"{name}_FILE")
    return None if file is None else (ROOT / file).read_text().strip()
