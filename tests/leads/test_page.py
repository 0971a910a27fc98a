"""Leads change their group's page: preview, save, one step back."""

import pytest

from tests.browser_client import Form, link_to, text_of
from tests.factories import group_named, plan_meeting

PAGE = "/lead/groups/the-village/page"
TYPED = {
    "summary_en": "Standing by our students.",
    "summary_es": "Al lado de nuestros estudiantes.",
    "welcome_en": "We meet in the library, and we are glad you came.",
    "resources-0-title_en": "Help line",
    "resources-0-url": "https://help.example.org/line",
}


def test_bad_input_is_kept_and_explained(lead):
    answer = lead.send(PAGE, **{**TYPED, "resources-0-url": "javascript:alert(1)"})
    assert answer.status_code == 422
    assert "begins with https://" in answer.text
    assert "Standing by our students." in answer.text
    assert lead.send(PAGE, **{**TYPED, "summary_en": ""}).status_code == 422
    assert lead.send(PAGE, **{**TYPED, "summary_en": "x" * 161}).status_code == 422
    assert lead.send(PAGE, **{**TYPED, "mailbox": "leads@example.com"}).status_code == 422


def test_the_welcome_mail_carries_the_leads_words(lead, visitor, worker, relay):
    lead.send(PAGE, **TYPED)
    visitor.join("the-village", "ada@dpsk12.org")
    worker.drain()
    visitor.press(link_to(relay.to("ada@dpsk12.org")[0], "confirm"))
    worker.drain()
    assert "glad you came" in text_of(relay.to("ada@dpsk12.org")[1])


MISSION = {
    "mission_en": "We stand by students.\r\n\r\nWe learn from each other.",
    "mission_es": "Acompañamos a estudiantes.",
    "activities_en": "Meet in the library\r\n\r\n  Share   what we know ",
    "activities_es": "Nos reunimos en la biblioteca",
}


def test_a_lead_previews_saves_and_undoes_the_page_in_every_language(lead):
    before, typed = lead.open("/groups/the-village").text, TYPED | MISSION
    preview = lead.send(PAGE, **typed, preview="1").text
    assert "<p>We stand by students.</p><p>We learn from each other.</p>" in preview
    assert lead.open("/groups/the-village").text == before

    assert lead.send(PAGE, **typed).status_code == 303
    public = lead.open("/groups/the-village").text
    assert "Standing by our students." in public
    assert 'href="https://help.example.org/line"' in public
    assert "<p>We stand by students.</p><p>We learn from each other.</p>" in public
    assert "<li>Meet in the library</li><li>Share what we know</li>" in public
    spanish = lead.open("/groups/the-village?lang=es").text
    assert "Al lado de nuestros estudiantes." in spanish
    assert "<p>Acompañamos a estudiantes.</p>" in spanish
    assert "<li>Nos reunimos en la biblioteca</li></ul>" in spanish

    fields = Form(lead.open(PAGE).text).fields
    assert fields["summary_en"] == TYPED["summary_en"]
    assert lead.act(f"{PAGE}/undo").status_code == 303
    assert lead.open("/groups/the-village").text == before
    assert lead.act(f"{PAGE}/undo").status_code == 303
    assert lead.open("/groups/the-village").text == public


def test_a_mission_has_800_characters_and_a_list_ten_lines(lead):
    ten = "\r\n".join("x" * 250 for _ in range(10))
    assert lead.send(PAGE, mission_en="x" * 800, activities_en=ten).status_code == 303
    for wrong, why in (
        ({"mission_en": "x" * 801}, "Use at most 800 characters."),
        ({"mission_es": "x\u202ey"}, "This contains a character we can’t read."),
        ({"activities_en": ten + "\r\nx"}, "Write at most 10 lines."),
        ({"activities_es": "x" * 251}, "Use at most 250 characters a line."),
    ):
        answer = lead.send(PAGE, **wrong)
        assert answer.status_code == 422
        assert why in answer.text


def test_markup_in_a_mission_is_shown_as_it_is(lead):
    lead.send(PAGE, mission_en="<b>We</b>", activities_en="<i>Tea</i>")
    public = lead.open("/groups/the-village").text
    assert "<p>&lt;b&gt;We&lt;/b&gt;</p>" in public
    assert "<li>&lt;i&gt;Tea&lt;/i&gt;</li>" in public


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


@pytest.mark.parametrize(
    "typed",
    ["12", "tel:", "tel:one", "1" * 16, "http://x.org", "mailto:a@b.c", "tel:1;ext=javascript"],
)
def test_no_other_kind_of_address_is_a_resource(lead, typed):
    resource = {"resources-0-title_en": "Help line", "resources-0-url": typed}
    answer = lead.send(PAGE, **resource)
    assert answer.status_code == 422
    assert "Enter a link that begins with https://, or a phone number." in answer.text


def test_a_lead_cannot_say_whom_the_group_welcomes(lead):
    assert lead.send(PAGE, audience_en="Come, all", audience="Come, all").status_code == 303
    assert "Come, all" not in lead.open("/groups/the-village").text


WORDS = {"welcome_en": "Come <in>\n& sit down", "welcome_es": "Pasa <ya>"}


def test_the_welcome_email_is_previewed_in_each_language_and_nothing_is_stored(
    lead, other_lead, services
):
    with services.writing.begin() as session:
        plan_meeting(session, place="Room 4")
    fields = {**Form(lead.open(PAGE).text).fields, **WORDS}
    shown = lead.press(PAGE, **fields, welcome="en")
    assert "Come &lt;in&gt;\n&amp; sit down" in shown.text.replace("\r\n", "\n")
    assert "Room 4" in shown.text
    assert "The Village Belong Group" in shown.text
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    spanish = lead.press(PAGE, **fields, welcome="es").text
    assert "Pasa &lt;ya&gt;" in spanish
    assert "grupo The Village" in spanish
    assert "Come &lt;in" in lead.press(PAGE, **fields, welcome="xx").text
    with services.reading.begin() as session:
        assert "Come" not in str(group_named(session, "the-village").welcome)
    assert other_lead.act(PAGE, welcome="en").status_code == 404
