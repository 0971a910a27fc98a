"""Leads change their group's page: preview, save, one step back."""

from belong_mail.worker import Worker
from tests.people import Visitor, link_to, text_of
from tests.servers.smtp import Server

PAGE = "/lead/groups/the-village/page"
TYPED = {
    "summary_en": "Standing by our students.",
    "summary_es": "Al lado de nuestros estudiantes.",
    "welcome_en": "We meet in the library, and we are glad you came.",
    "resources-0-title_en": "Help line",
    "resources-0-url": "https://help.example.org/line",
}


def test_a_lead_previews_saves_and_undoes(lead: Visitor) -> None:
    before = lead.open("/groups/the-village").text
    assert "Standing by our students." in lead.send(PAGE, **TYPED, preview="1").text
    assert lead.open("/groups/the-village").text == before

    assert lead.send(PAGE, **TYPED).status_code == 303
    public = lead.open("/groups/the-village").text
    assert "Standing by our students." in public
    assert 'href="https://help.example.org/line"' in public
    assert "Al lado de nuestros estudiantes." in lead.open("/groups/the-village?lang=es").text

    lead.send(PAGE)
    from_form = lead.open(PAGE).text
    assert "Standing by our students." in from_form


def test_undo_brings_the_words_before_back(lead: Visitor) -> None:
    lead.send(PAGE, **TYPED)
    token_page = lead.open(PAGE).text
    assert "Undo the last change" in token_page
    token = token_page.split('name="csrf_token" value="')[1].split('"')[0]
    assert lead.press(f"{PAGE}/undo", csrf_token=token).status_code == 303
    assert "Standing by our students." not in lead.open("/groups/the-village").text


def test_bad_input_is_kept_and_explained(lead: Visitor) -> None:
    answer = lead.send(PAGE, **{**TYPED, "resources-0-url": "javascript:alert(1)"})
    assert answer.status_code == 422
    assert "begins with https://" in answer.text
    assert "Standing by our students." in answer.text
    assert lead.send(PAGE, **{**TYPED, "summary_en": ""}).status_code == 422
    assert lead.send(PAGE, **{**TYPED, "summary_en": "x" * 161}).status_code == 422
    assert lead.send(PAGE, **{**TYPED, "mailbox": "leads@example.com"}).status_code == 422


def test_the_welcome_mail_carries_the_leads_words(
    lead: Visitor, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    lead.send(PAGE, **TYPED)
    visitor.join("the-village", "ada@dpsk12.org")
    worker.drain()
    visitor.press(link_to(relay.to("ada@dpsk12.org")[0], "confirm"))
    worker.drain()
    assert "glad you came" in text_of(relay.to("ada@dpsk12.org")[1])
