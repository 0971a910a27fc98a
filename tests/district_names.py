"""What production must say of a district, as development says it of ours."""

from config import DEVELOPMENT

DISTRICT = {
    f"BELONG_{name}": DEVELOPMENT[f"BELONG_{name}"]
    for name in (
        "SITE_NAME", "DISTRICT_NAME", "DISTRICT_SHORT", "SAFE2TELL_NAME", "SAFE2TELL_PHONE",
        "SAFE2TELL_URL", "ALLOWED_DOMAINS", "TIMEZONE",
    )
}  # fmt: skip
