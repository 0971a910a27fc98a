"""Where the project's files are; settings from the environment, or from files that it names."""

from collections.abc import Mapping
from pathlib import Path

PREFIX = "BELONG_"
_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel holds templates, emails and translations inside the package, a checkout beside it.
IS_INSTALLED = (_PACKAGE / "templates").is_dir()
RESOURCES = _PACKAGE if IS_INSTALLED else _PACKAGE.parent
# Where the package is.
LIBRARY = _PACKAGE.parent
# Where wsgi.py, work.py and config.py are: a wheel's stand in the way of nobody else's.
ENTRY_POINTS = _PACKAGE / "entry" if IS_INSTALLED else LIBRARY
# Where relative paths of settings start: the project's root, or the folder one is in.
ROOT = Path.cwd() if IS_INSTALLED else _PACKAGE.parent


def value_of(name: str, environ: Mapping[str, str]) -> str | None:
    """Return what NAME says, or else what stands in the file that NAME_FILE says; None if neither.

    Relative paths start at ROOT. Raises OSError or UnicodeDecodeError for a file that
    cannot be read.
    """
    if name in environ:
        return environ[name]
    file = environ.get(f"{name}_FILE")
    return None if file is None else (ROOT / file).read_text().strip()
