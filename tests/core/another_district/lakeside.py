"""Lakeside Public Schools: made up, with names and groups of its own."""

from sqlalchemy.orm import Session

from belong_mail.groups import service as groups
from belong_mail.groups.models import Group, Question

SETTINGS = {
    "BELONG_SITE_NAME": "Lakeside Together",
    "BELONG_DISTRICT_NAME": "Lakeside Public Schools",
    "BELONG_DISTRICT_SHORT": "Lakeside",
    "BELONG_PROGRAM_NAME": "Together",
    "BELONG_TIMEZONE": "America/Chicago",
    "BELONG_MAIL_DOMAIN": "together.lakeside.example",
    "BELONG_POSTAL_ADDRESS": "Lakeside Together, 1 Pier Road, Lakeside, IL 60000",
    "BELONG_CONTACT_INBOX": "together@lakeside.example",
    "BELONG_HELP_LINES": (
        "SafeTip 800-555-0100 https://safetip.example, 988 Lifeline 988 https://988lifeline.org"
    ),
    # The second one is that of the addresses on the walk past every page.
    "BELONG_ALLOWED_DOMAINS": "lakeside.example,dpsk12.org",
}
# The walk past every page needs addresses of these kinds: an open group, a second one, one that is
# discreet by its name alone, and one that is to start.
GROUPS = (
    ("the-village", "Night Shift", False),
    ("asian", "Book Club", False),
    ("lgbtq", "Pride Alliance", False),
    ("autoimmune", "New Parents", True),
)


def add_groups(session: Session) -> None:
    """Let the office of Lakeside have added its groups."""
    for slug, name, is_upcoming in GROUPS:
        group = groups.add(session, slug, name, f"{name} at Lakeside.", is_upcoming=is_upcoming)
        asked = {"en": "Would you bring tea?", "es": "¿Traerías té?"}
        group.questions.append(Question(position=1, kind="consent", label=asked))
        group.summary = {"en": f"{name} at Lakeside.", "es": f"{name} en Lakeside."}


def pride(name: str = "Pride Alliance") -> Group:
    return Group(slug="pride", name=name, known_names=[name], is_discreet=False)
