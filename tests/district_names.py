"""A district's settings: ours."""

from config import SETTINGS

DISTRICT = {
    f"BELONG_{name}": SETTINGS[f"BELONG_{name}"].metadata["default"]
    for name in (
        "SITE_NAME", "DISTRICT_NAME", "DISTRICT_SHORT", "HELP_LINES", "ALLOWED_DOMAINS", "TIMEZONE",
    )
}  # fmt: skip


HTTPS = {
    "BELONG_ENV": "production",
    "BELONG_BASE_URL": "https://localhost",
    **DISTRICT,
    "BELONG_MAIL_DOMAIN": "example.org",
    "BELONG_POSTAL_ADDRESS": "1860 Lincoln St, Denver",
    "BELONG_CONTACT_INBOX": "office@example.org",
}
NAMED = HTTPS | {"BELONG_BASE_URL": "https://belong.example.org"}
