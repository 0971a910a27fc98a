"""DPS's groups, which `db upgrade --seed dps` writes into a database that has none."""

import tomllib
from pathlib import Path
from typing import Any, Final

from belong_mail.core.i18n import LocalizedText

_DPS: Final = tomllib.loads(Path(__file__).with_name("dps.toml").read_text(encoding="utf-8"))
# In the directory's order; what a group does not say is left out.
GROUPS: Final[list[dict[str, Any]]] = _DPS["groups"]
# What members may offer to help with, by the names that groups use there.
INTERESTS: Final[dict[str, LocalizedText]] = _DPS["interests"]
