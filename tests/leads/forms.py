"""Every form of a leader and of the office, and what is typed into it."""

from datetime import timedelta
from typing import Any

from belong_mail.core.db import now
from belong_mail.web.access import Access
from tests.browser_client import Form
from tests.web.rights.table import rights_table

SOON = f"{now() + timedelta(days=30):%Y-%m-%d}"


# Words for each form of a lead or of the office, by the page that takes it.
FORMS: dict[str, dict[str, Any]] = {
    "editor.write": {"subject": "Tea and “cake”", "text": "Two lines:\r\n\r\n<b>of & mine</b>"},
    "group_settings.page": {
        "summary_en": "We drink tea together",
        "welcome_en": "Come on in\r\nand sit down",
        "mailbox": "shared.box@dpsk12.org",
    },
    "office_groups.questions": {"label_en": "Which snack do you like?", "kind": "text"},
    "lead_meetings.new": {
        "title_en": "Tea for everyone",
        "starts_on": SOON,
        "starts_at": "16:00",
        "ends_at": "17:00",
        "place": "Room 4, upstairs",
    },
    "lead_meetings.change": {"title_en": "Tea for all", "place": "Room 5, downstairs"},
    "lead_meetings.change_day": {"place": "Room 6, this once"},
    "releases.release": {"when": "60"},
    "pictures.add": {"description": "Twelve people around a table"},
    "flyers.add": {"title": "Tea on Friday"},
    "office_groups.new": {
        "name": "Night shift",
        "summary_en": "For the night",
        "summary_es": "Para la noche",
    },
    "office_groups.end": {"last_day": SOON},
    "office_imports.add": {"language": "es"},
    "office.settings": {
        "video_url": "https://video.example.org/all",
        "words": "sunrise\r\namanecer",
    },
    "office_groups.group": {"audience_en": "All staff are welcome here"},
    "office.addresses": {"group": "the-village", "email": "somebody.else@dpsk12.org"},
    "people.invite": {"name": "Ada", "email": "ada@dpsk12.org", "groups": "office"},
    "people.person": {"name": "Ada"},
    "account.page": {"name": "My phone at home"},
    "office.thread": {"answer": "The library is open\r\non Fridays."},
}


def buttons(app) -> set[str]:
    """Name what is pressed without words: of a press, a choice is made again in a moment."""
    posting = (route for route in rights_table(app) if route.method == "POST")
    return {each.endpoint for each in posting if Access.PUBLIC not in each.marks} - set(FORMS)


def fill_in(lead, path: str, typed: dict[str, Any]) -> dict[str, Any]:
    fields = Form(lead.open(path).text).fields
    for file in ("picture", "flyer"):
        fields.pop(file, None)
    return {**fields, **typed}


def path_for(app, button: str, pages: dict[str, str]) -> str:
    """Return the address of a button, for what the pages are about."""
    endpoint, _, verb = button.partition(" ")
    [rule] = [each for each in app.url_map.iter_rules(endpoint) if "POST" in (each.methods or ())]
    adapter = app.url_map.bind("localhost")
    values: dict[str, Any] = {}
    for path in pages.values():
        values.update(adapter.match(path)[1])
    values |= {"question_id": 1, "verb": verb or "sign_out"}
    return str(adapter.build(endpoint, {name: values[name] for name in rule.arguments}, "POST"))
