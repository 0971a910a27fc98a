"""Go through the product in a language that was added a moment ago.

Collected by `test_third_language` alone, in a copy of the product that has the language.
"""

import re
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

from sqlalchemy import select

from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.meetings.models import Meeting
from tests.browser_client import Form, html_of, link_to, text_of
from tests.clients import sign_in
from tests.core.third_language.language import CODE, MARK, NAME
from tests.factories import group_named
from tests.scenario import drain_in
from tests.words import Reader

ADA, BEN, CARMEN = "ada@dpsk12.org", "ben@dpsk12.org", "carmen@dpsk12.org"
VILLAGE = "/lead/groups/the-village"
QUESTIONS = "/office/groups/the-village/questions"
SOON = f"{now() + timedelta(days=30):%Y-%m-%d}"
MEETING = {"starts_on": SOON, "starts_at": "16:00", "ends_at": "17:00", "spoken": CODE}


def begin(lead, slug: str = "the-village") -> str:
    return str(lead.act(f"/lead/groups/{slug}/newsletters").location)


def join(visitor, worker, relay, address: str, code: str) -> EmailMessage:
    visitor.join("the-village", address, language=code)
    worker.drain()
    [asked] = relay.to(address)
    assert f'<html lang="{code}"' in html_of(asked)
    confirmed = visitor.follow(link_to(asked, "confirm"))
    assert Reader(confirmed.text).language == code
    worker.drain()
    return relay.to(address)[-1]


def test_this_is_the_copy_with_the_language():
    assert Path(i18n.__file__).is_relative_to(Path.cwd())
    assert list(i18n.NAMES) == ["en", "es", CODE]


def test_pages_are_in_it_and_each_other_page_leads_to_it(visitor):
    for path in ("/", "/groups/the-village", "/calendar", "/accessibility", "/new-colleagues"):
        for code in ("en", "es"):
            assert f'lang="{CODE}">{NAME}</a>' in visitor.open(f"{path}?lang={code}").text
        page = visitor.open(f"{path}?lang={CODE}")
        assert Reader(page.text).language == page.headers["Content-Language"] == CODE
        assert page.text.count(MARK) > 10
        assert 'lang="es">Español</a>' in page.text
    visitor.headers = {"Accept-Language": f"{CODE},en;q=0.5"}
    assert Reader(visitor.open("/").text).language == CODE


def test_lists_of_languages_name_it_in_the_readers_language(visitor):
    sentence = "Every page and email comes in English, Spanish, and Esperanto."
    assert sentence in visitor.open("/accessibility").text
    assert "está en inglés, español y esperanto." in visitor.open("/accessibility?lang=es").text
    assert f'<section lang="{CODE}"><h2>{MARK}' in visitor.open("/new-colleagues/sheet").text


def test_a_member_gets_emails_and_issues_in_it(visitor, lead, worker, relay):
    """A lead writes an issue in it; who reads a language that it lacks gets the default's text."""
    welcome = join(visitor, worker, relay, ADA, CODE)
    assert str(welcome["Subject"]).startswith(MARK)
    assert MARK in text_of(welcome)
    for address, code in ((BEN, "en"), (CARMEN, "es")):
        join(visitor, worker, relay, address, code)

    page = begin(lead)
    written = lead.open(page).text
    assert "Subject in Esperanto" in written
    assert re.search(rf'<textarea [^>]*lang="{CODE}"[^>]* name="text_{CODE}"', written)
    assert "Asunto en esperanto" in lead.open(f"{page}?lang=es").text
    words = {
        "subject": "Tea", "text": "Come.", f"subject_{CODE}": "Teo", f"text_{CODE}": "Venu, **vi**",
    }  # fmt: skip
    preview = lead.press(f"{page}/preview?as={CODE}", **{**Form(written).fields, **words})
    assert "Venu, <strong>vi</strong>" in preview.text
    assert lead.send(page, **words).status_code == 303
    assert Form(lead.open(page).text).fields[f"text_{CODE}"] == "Venu, **vi**"
    assert lead.send(f"{page}/release", when="1").status_code == 303
    drain_in(worker, minutes=2)
    issues = {address: relay.to(address)[-1] for address in (ADA, BEN, CARMEN)}
    assert {address: issue["Subject"] for address, issue in issues.items()} == {
        ADA: "Teo", BEN: "Tea", CARMEN: "Tea",
    }  # fmt: skip
    assert "Venu, <strong>vi</strong>" in html_of(issues[ADA])
    assert f'<div lang="{CODE}"' in html_of(issues[ADA])
    assert '<div lang="en"' in html_of(issues[CARMEN])
    assert Reader(visitor.open(link_to(issues[ADA], "leave")).text).language == CODE


def test_groups_have_their_page_questions_and_meetings_in_it(office, lead, visitor, services):
    page = {"summary_en": "Together.", "summary_es": "", f"summary_{CODE}": "Kune.",
            "resources-0-title_en": "Help",
            f"resources-0-title_{CODE}": "Helpo", "resources-0-url": "https://e.org/"}  # fmt: skip
    assert lead.send(f"{VILLAGE}/page", **page).status_code == 303
    public = visitor.open(f"/groups/the-village?lang={CODE}").text
    assert "Kune." in public
    assert "Helpo" in public
    assert "Together." in visitor.open("/groups/the-village?lang=es").text
    question = {"label_en": "Tea?", f"label_{CODE}": "Ĉu teo?", "kind": "choice",
                "options_en": "Green\nBlack", f"options_{CODE}": "Verda\nNigra"}  # fmt: skip
    assert office.send(QUESTIONS, **question).status_code == 303
    form = visitor.open(f"/groups/the-village/join?lang={CODE}").text
    assert all(words in form for words in ("Ĉu teo?", "Verda", "Nigra"))
    fewer = {**question, f"options_{CODE}": "Verda"}
    said = "Write as many answers in Esperanto as in English, or none."
    assert said in office.send(QUESTIONS, **fewer).text
    meeting = {**MEETING, "title_en": "Tea", f"title_{CODE}": "Teo"}
    assert lead.send(f"{VILLAGE}/meetings/new", **meeting).status_code == 303
    with services.reading.begin() as session:
        assert session.scalars(select(Meeting.title)).one() == {"en": "Tea", CODE: "Teo"}
    public = visitor.open("/groups/the-village").text
    assert "In Esperanto" in public
    assert "En esperanto" in visitor.open("/groups/the-village?lang=es").text


def test_its_words_are_guarded_as_those_of_the_others_are(app, office, services, keyring):
    """No subject tells what a group is about, and no form asks what must not be asked."""
    asked = {"label_en": "What do you like?", f"label_{CODE}": "Kia sekso?", "kind": "text"}
    assert office.send(QUESTIONS, **asked).status_code == 422
    with services.writing.begin() as session:
        group_named(session, "autoimmune").established_at = now()
    lead = sign_in(app, keyring, "autoimmune")
    page = begin(lead, "autoimmune")
    words = {"subject": "Tea", "text": "Come.", f"text_{CODE}": "Venu."}
    lead.send(page, **words, **{f"subject_{CODE}": "Nia malsano"})
    assert lead.act(f"{page}/release", when="1").status_code == 422
    lead.send(page, **words, **{f"subject_{CODE}": "Teo"})
    assert lead.send(f"{page}/release", when="1").status_code == 303
