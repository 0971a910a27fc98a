"""A district's settings: ours."""

from config import SETTINGS

DISTRICT = {
    f"BELONG_{name}": SETTINGS[f"BELONG_{name}"].metadata["default"]
    for name in (
        "SITE_NAME", "DISTRICT_NAME", "DISTRICT_SHORT", "HELP_LINES", "ALLOWED_DOMAINS", "TIMEZONE",
    )
}  # fmt: skip
