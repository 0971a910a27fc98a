"""The groups of Denver Public Schools, which `db upgrade --seed dps` adds to an empty database."""

import tomllib
from pathlib import Path
from typing import Any, Final

_DPS: Final = tomllib.loads(Path(__file__).with_name("dps.toml").read_text(encoding="utf-8"))
# In the directory's order; empty columns are left out.
GROUPS: Final[list[dict[str, Any]]] = _DPS["groups"]
