"""Leads change their group's page: preview, save, one step back."""

import re

import pytest

from belong_mail.core.db import now
from tests.browser_client import Form, differences, text_of
from tests.factories import group_named, plan_meeting
from tests.markers import on_both

PAGE = "/lead/groups/the-village/page"
TYPED = {
    "summary_en": "Standing by our students.",
    "summary_es": "Al lado de nuestros estudiantes.",
    "welcome_en": "We meet in the library, and we are glad you came.",
    "resources-0-title_en": "Help line",
    "resources-0-url": "https://help.example.org/line",
}


MISSION = {
    "mission_en": "We stand by <b>students</b>.\r\n\r\nWe learn from each other.",
    "mission_es": "Acompañamos a estudiantes.",
    "activities_en": "Meet in the <i>library</i>\r\n\r\n  Share   what we know ",
    "activities_es": "Nos reunimos en la biblioteca",
}
FOLDS = {"welcome": "Welcome", "resources": "Helpful", "mailbox": "Replies"}
NO_RESOURCES = (
    "javascript:alert(1)", "12", "tel:", "tel:one", "1" * 16, "http://x.org", "mailto:a@b.c",
    "tel:1;ext=javascript",
)  # fmt: skip
SHOWN = "<p>We stand by &lt;b&gt;students&lt;/b&gt;.</p><p>We learn from each other.</p>"


def test_a_leaders_home_begins_with_what_they_do_and_first_of_all_with_a_newsletter(lead, services):
    doings = ["Write a newsletter", "Plan a meeting", "Edit the group’s page"]
    for number in range(2):
        found = lead.open("/lead/").text.partition("</h2>")[2].partition("<h3")[0]
        assert re.findall(r'class="button[^>]+>([^<]+)<', found) == doings, f"{number} meetings"
        with services.writing.begin() as session:
            plan_meeting(session)


def test_a_lead_previews_saves_and_undoes_the_page_in_every_language(lead):
    before, typed = lead.open("/groups/the-village").text, TYPED | MISSION
    assert SHOWN in lead.send(PAGE, **typed, preview="1").text
    assert lead.open("/groups/the-village").text == before

    assert lead.send(PAGE, **typed).status_code == 303
    public = lead.open("/groups/the-village").text
    assert "Standing by our students." in public
    assert 'href="https://help.example.org/line"' in public
    assert SHOWN in public
    assert "<li>Meet in the &lt;i&gt;library&lt;/i&gt;</li><li>Share what we know</li>" in public
    spanish = lead.open("/groups/the-village?lang=es").text
    assert "Al lado de nuestros estudiantes." in spanish
    assert "<p>Acompañamos a estudiantes.</p>" in spanish
    assert "<li>Nos reunimos en la biblioteca</li></ul>" in spanish

    fields = Form(lead.open(PAGE).text).fields
    assert fields["summary_en"] == TYPED["summary_en"]
    unsaved_words = {"summary_en": "Not saved yet", "mailbox": "tea@dpsk12.org", "second_ok": "y"}
    for name, new in unsaved_words.items():
        unsaved = lead.forge(PAGE, **{name: new}, undo="1").text
        assert "Nothing is undone yet" in unsaved
        assert new in unsaved
    assert lead.open("/groups/the-village").text == public
    assert lead.send(PAGE, undo="1").status_code == 303
    assert lead.open("/groups/the-village").text == before
    assert lead.send(PAGE, undo="1").status_code == 303
    assert lead.open("/groups/the-village").text == public
    assert lead.send(PAGE).status_code == 303, "the same words again"
    assert lead.send(PAGE, undo="1").status_code == 303
    assert lead.open("/groups/the-village").text == before


def test_bad_input_is_kept_and_explained(lead):
    ten = "\r\n".join("x" * 250 for _ in range(10))
    good = {
        "mission_en": "x" * 800,
        "activities_en": ten,
        "audience": "Come",
        "audience_en": "Come",
    }
    assert lead.forge(PAGE, **TYPED | good).status_code == 303
    assert "Come" not in lead.open("/groups/the-village").text, "that is the office’s word"
    link = "Enter a link that begins with https://, or a phone number."
    wrong = [("resources-0-url", each, link) for each in NO_RESOURCES]
    for name, typed, why in (
        *wrong,
        ("summary_en", "", "Problem: "),
        ("summary_en", "x" * 161, "Problem: "),
        ("mailbox", "leads@example.com", "Problem: "),
        ("welcome_es", "x" * 601, "Use at most 600 characters."),
        ("mission_en", "x" * 801, "Use at most 800 characters."),
        ("mission_es", "x\u2067y", "This contains a character we can’t read."),
        ("activities_en", ten + "\r\nx", "Write at most 10 lines."),
        ("activities_es", "x" * 251, "Use at most 250 characters a line."),
    ):
        answer = lead.send(PAGE, **{**TYPED, name: typed})
        assert answer.status_code == 422, typed
        assert why in answer.text, typed
        assert TYPED["summary_es"] in answer.text
        opened = re.findall(r"<details open>\s*<summary>(Welcome|Helpful|Replies)", answer.text)
        assert opened == [fold for field, fold in FOLDS.items() if name.startswith(field)], name


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("988", "tel:988"),
        ("tel:877-542-7233", "tel:877-542-7233"),
        ("+1 (303) 555-0100", "tel:+1-303-555-0100"),
        ("https://help.example.org/line", "https://help.example.org/line"),
    ],
)
def test_a_resource_is_a_link_or_a_phone_number(lead, typed, stored):
    resource = {"resources-0-title_en": "Help line", "resources-0-url": typed}
    assert lead.send(PAGE, **resource).status_code == 303
    public = lead.open("/groups/the-village").text
    assert f'<a href="{stored}" rel="noreferrer">Help line</a>' in public
    phone = stored.partition("tel:")[2]
    assert (f"<span>{phone}</span>" in public) is bool(phone)


def test_enter_saves_the_page_and_previews_nothing(lead):
    """It presses the first button of the form."""
    [form] = re.findall(r'<form id="main-form".*?</form>', lead.open(PAGE).text, re.DOTALL)
    first, *others = re.findall(r'<button [^>]*type="submit"[^>]*>', form)
    assert not re.search(" name=| formtarget=", first)
    assert 'tabindex="-1" aria-hidden="true"' in first
    assert len(others) == 4


def test_the_welcome_email_is_previewed_in_each_language_and_stored_when_it_is_saved(
    lead, scenario
):
    scenario.do(plan_meeting, place="Room 4")
    scenario.do(plan_meeting, place="Room 9", cancelled_at=now())
    words = {"welcome_en": "Come <in>\n& sit down", "welcome_es": "Pasa <ya>"}
    fields = {**Form(lead.open(PAGE).text).fields, **words}
    shown = lead.press(PAGE, **fields, welcome="en")
    assert "Come &lt;in&gt;\n&amp; sit down" in shown.text.replace("\r\n", "\n")
    assert [f"Room {each}" in shown.text for each in (4, 9)] == [True, False], "one is canceled"
    assert "The Village Belong Group" in shown.text
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    spanish = lead.press(PAGE, **fields, welcome="es").text
    assert "Pasa &lt;ya&gt;" in spanish
    assert "grupo The Village" in spanish
    assert "Come &lt;in" in lead.press(PAGE, **fields, welcome="xx").text
    with scenario.services.reading.begin() as session:
        assert "Come" not in str(group_named(session, "the-village").welcome)
    lead.send(PAGE, **TYPED)
    assert "glad you came" in text_of(scenario.enter())


@on_both("the text of JSON")
def test_another_leaders_change_saved_meanwhile_is_kept_and_shown(lead):
    opened, link = Form(lead.open(PAGE).text).fields, "https://help.example.org/line"
    theirs = {**TYPED, "mission_en": "Theirs: <i>we</i> stand by them."}
    assert lead.send(PAGE, **theirs).status_code == 303
    mine = {**opened, "activities_en": "Mine: we walk", "mailbox": ""}
    for _ in range(2):  # sent from the same old page, as another tab does
        answer = lead.press(PAGE, **mine)
        assert answer.status_code == 409
    said = answer.text
    assert "Someone else changed this page in the meantime." in said
    changed = differences(said)
    assert "[Only in the saved version: Theirs: <i>we</i> " in changed["Your mission"]
    assert changed["Link or phone number"] == f"[Only in the saved version: {link}]"
    assert "Theirs" in lead.open("/groups/the-village").text
    fields = Form(said).fields
    assert fields["activities_en"] == "Mine: we walk"
    assert lead.press(PAGE, **mine, preview="1").status_code == 200
    assert lead.press(PAGE, **fields).status_code == 303, "having seen both"
    assert "Mine: we walk" in lead.open("/groups/the-village").text
