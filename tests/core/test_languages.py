"""The catalogs are whole, and every page and mail of a journey is in one language."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.i18n import forms
from belong_mail.groups.header_words import IDENTIFYING
from belong_mail.groups.seeds import GROUPS
from belong_mail.members import reminders
from belong_mail.members.models import Subscription
from belong_mail.office.groups import add_question
from tests import crawl
from tests.browser_client import html_of, link_to, read, text_of
from tests.factories import group_named, plan_meeting, queue_issue
from tests.markers import on_sqlite
from tests.processes import ROOT
from tests.words import Reader, catalog, english_in, entries, said

in_each_language = pytest.mark.parametrize("code", i18n.OTHER_LANGUAGES)
PLACES = re.compile(r"%\(\w+\)\w|<[^>]+>|https?:\S+|\d+(?:,\d+)*")
# In Spanish “around the clock” is “las 24 horas”, and one is said as a word.
# Spanish says “el grupo Asian”, without the word that English names a group with.
THE_WORD = {"%(program_name)s"}
NUMBERS_IN_WORDS = {"es": {"24"}}
SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}
DENVER = ZoneInfo("America/Denver")
ADA = "ada@dpsk12.org"
LEAD = "lead@dpsk12.org"
VILLAGE = "/lead/groups/the-village"
# Pages that say something in both languages, and words that are names on others.
IN_BOTH = ("/sheet", "/import")
NAMES = {"%(group)s %(program_name)s Group", "Ended", "Hello,"}
FIRST = now().date() + timedelta(days=30)
MEETING = {
    "starts_on": f"{FIRST}", "starts_at": "16:00", "ends_at": "17:00", "repeats": "weekly",
    "until": f"{FIRST + timedelta(days=148)}", "exceptions": f"{FIRST + timedelta(days=7)}",
    "access": ["asl", "captions", "step-free"],
}  # fmt: skip


@in_each_language
def test_every_sentence_is_in_the_catalog_and_nothing_else(code):
    have = {message.id for message in entries(code)}
    assert said() - have == set(), (
        f"say these in translations/{code}: see CONTRIBUTING.md, “Add a string”"
    )
    assert have - said() == set(), "nobody says these any more"


@in_each_language
def test_every_sentence_has_a_translation_that_somebody_has_checked(code):
    for message in entries(code):
        assert not message.fuzzy, message.id
        assert all(form.strip() for form in forms(message.string)), message.id
        assert len(forms(message.string)) == len(forms(message.id)), message.id


@in_each_language
def test_translations_keep_names_links_and_numbers_in_their_places(code):
    for message in entries(code):
        assert list(message.check(catalog(code))) == []
        for words, other in zip(forms(message.id), forms(message.string), strict=True):
            places = set(PLACES.findall(other)) - NUMBERS_IN_WORDS.get(code, {"1"}) - THE_WORD
            assert places == set(PLACES.findall(words)) - {"1"} - THE_WORD, message.id


def test_the_spanish_privacy_page_has_a_sentence_for_each_of_the_english():
    folder = ROOT / "templates" / "directory"
    pages = [(folder / f"{name}.html").read_text() for name in ("privacy", "who_can_see")]
    english = re.findall(r'_\("([^"]+)"', " ".join(pages))
    assert len(english) > 100
    for words in english:
        both = (words, i18n.catalog("es").gettext(words))
        assert len({len(re.findall(r"[.?]”?(?= |$)", each)) for each in both}) == 1, words


def test_each_language_says_which_words_are_sensitive():
    slugs = {each["slug"] for each in GROUPS}
    for code in i18n.NAMES:
        words = json.loads((i18n.TRANSLATIONS / code / "sensitive_words.json").read_bytes())
        assert words.keys() == {"names", "identifying", "questions"}
        assert words["names"].keys() <= slugs
        assert {slug for slug, own in words["identifying"].items() if own} == IDENTIFYING.keys()
        assert words["questions"]


def test_one_answer_is_singular_and_more_are_plural():
    translated = i18n.catalog("es")
    singular = "There’s a problem with %(num)s answer"
    plural = f"{singular}s"
    assert translated.ngettext(singular, plural, 1) == "Corrige %(num)s respuesta"
    assert translated.ngettext(singular, plural, 2) == "Corrige %(num)s respuestas"


def test_dates_are_said_as_people_in_denver_say_them():
    moment = datetime(2026, 3, 3, 23, 5, tzinfo=UTC)
    for code, date, time in (
        ("en", "Tuesday, March 3, 2026", "Tuesday, March 3, 2026, 4:05 PM"),
        ("es", "martes 3 de marzo de 2026", "martes 3 de marzo de 2026, 4:05 p. m."),
    ):
        assert read(i18n.format_date(moment, code, DENVER)) == date
        assert read(i18n.format_time(moment, code, DENVER)) == time
    assert i18n.at_start("martes 3 de marzo, 4:00 PM") == "Martes 3 de marzo, 4:00 PM"
    assert i18n.at_start("") == ""


def test_numbers_are_written_as_in_the_us_in_every_language():
    assert {i18n.format_number(3000, code) for code in i18n.NAMES} == {"3,000"}


@on_sqlite
def test_the_url_chooses_the_language_and_else_the_browser(visitor):
    for url, accepted, language in (
        ("/", "", "en"),
        ("/", "es", "es"),
        ("/", "es-MX,es;q=0.9,en;q=0.5", "es"),
        ("/", "fr-FR,fr;q=0.9,es;q=0.4,en;q=0.2", "es"),
        ("/", "de", "en"),
        ("/", "*", "en"),
        ("/", "\u00e9;;q=x,,", "en"),
        ("/?lang=es", "en", "es"),
        ("/?lang=en", "es", "en"),
        ("/?lang=xx", "es", "es"),
        ("/?lang=%22%3E%3Cb%3E", "es", "es"),
        ("/?lang=", "es", "es"),
        ("/?lang=%00&lang=es", "en", "en"),
        ("/nothing-here?lang=es", "en", "es"),
    ):
        visitor.headers = {"Accept-Language": accepted} if accepted else {}
        page = visitor.open(url)
        assert Reader(page.text).language == language, (url, accepted)
        assert page.headers["Content-Language"] == language
        assert "Accept-Language" in page.headers["Vary"]
        assert "Set-Cookie" not in page.headers
        assert "lang=xx" not in page.text
    assert 'href="/groups/the-village"' in visitor.open("/?lang=xx").text, "it was never chosen"


@on_sqlite
def test_a_chosen_language_stays_over_links_and_forms(visitor):
    for path in ("/", "/groups/the-village", "/groups/the-village/join", "/contact", "/privacy"):
        page = visitor.open(f"{path}?lang=es").text
        links = re.findall(r'<a[^>]* href="(/[^"]*)"', page)
        assert links
        assert [link for link in links if "lang=" not in link] == []
    sent = visitor.send("/groups/the-village/join?lang=es", email=ADA)
    assert re.fullmatch(r"/check-your-inbox/[\w.-]+\?lang=es", sent.location)
    wrong = visitor.send("/groups/the-village/join?lang=es", email="")
    assert "Escribe tu correo electrónico." in wrong.text


@on_sqlite
def test_a_mailed_language_stays_when_its_button_is_pressed_in_an_english_browser(
    visitor, worker, relay
):
    visitor.join("the-village", ADA, language="es")
    worker.drain()
    [mail] = relay.to(ADA)
    for page in ("confirm", "not-me"):
        asked = visitor.open(link_to(mail, page)).text
        [action] = re.findall(r'<form method="post" action="([^"]*)"', asked)
        assert Reader(visitor.follow(action).text).language == "es"


@on_sqlite
def test_words_that_are_in_another_language_than_their_page_say_in_which(
    visitor, services, keyring
):
    """A screen reader says them right (WCAG 3.1.2); in their own language nothing is."""
    with services.writing.begin() as session:
        group = group_named(session, "the-village")
        group.summary, group.note = {"en": "Tea for all", "es": ""}, {"en": "Come in"}
        plan_meeting(session, "the-village", title={"en": "Cup of tea"})
        invitations.invite(session, keyring, group, LEAD)
        own = [{"en": "Black"}, {"en": "Green", "es": "Verde"}]
        add_question(session, group, "choice", {"en": "Which tea?"}, own)
    marked = {
        "/": ("<h3 lang={}><a", " lang={}>Tea for all</p>", "lang={}>Come in</p>"),
        "/groups/the-village": ("<h1 lang={}>The Village</h1>", "lang={}>Tea for all</p>"),
        "/groups/the-village/join": (
            "<span lang={}>Which tea?</span>", "<span lang={}>Black</span>", "lang={}>The Village",
        ),
        "/calendar": ("<span lang={}>Cup of tea</span>", "lang={}>The Village</a>"),
        "/nowhere": ('lang={}><a href="/groups/the-village?lang=es">',),
    }  # fmt: skip
    for path, places in marked.items():
        spanish = visitor.open(f"{path}?lang=es").text
        for place in places:
            assert place.format('"en"') in spanish, path
        assert visitor.open(f"{path}?lang=en").text.count('lang="en"') == 1, "the page itself"
    assert ">Verde</label>" in visitor.open("/groups/the-village/join?lang=es").text


@on_sqlite
def test_errors_are_in_the_readers_language_those_of_libraries_too(visitor):
    visitor.headers = SPANISH
    wrong = visitor.send(
        "/contact", topic="none", email="a" * 300, name="n" * 101, message="m" * 5001
    )
    assert wrong.status_code == 422
    pieces = Reader(wrong.text).pieces
    assert english_in(pieces) == []
    assert not any("Not a valid" in piece or "cannot be longer" in piece for piece in pieces)


def answers(app, scenario) -> Iterator[TestResponse]:
    """Walk past every page, with its buttons and what they refuse, in a Spanish browser."""
    lead = crawl.sign_in(app, scenario.keyring)
    visitor, services = scenario.visitor, scenario.services
    visitor.headers = lead.headers = SPANISH
    with services.writing.begin() as session:
        session.execute(update(Account).values(language="es"))
        plan_meeting(session, contact="Ana", access=["interpreter"], has_families=True)
    mailed = crawl.mailed_links(scenario)
    links = {page: url.replace("lang=en", "lang=es") for page, url in mailed.items()}
    for stop in crawl.stops(services, links, crawl.reference_of(visitor)):
        if stop.name != "style":
            yield visitor.open(stop.url)
    yield visitor.join("the-village", "x@gmail.com", first_name="<b>")
    yield visitor.join("the-village", ADA, csrf_token="old")
    for path in ("/groups/autoimmune/tell-me", "/contact", "/my-groups", "/sign-in"):
        yield visitor.send(path, email="nobody")
    yield from (page for _name, page in crawl.pressed(visitor, links))
    yield from crawl.used(scenario)
    yield crawl.open_thread(visitor, services)
    yield from crawl.all_of_a_lead(lead, services)
    yield lead.send(f"{VILLAGE}/meetings/new", **{**MEETING, "ends_at": "1:00"})
    yield lead.send(f"{VILLAGE}/page", summary_en="")
    yield lead.send("/office/settings", video_url="http://x")
    yield from crawl.prove_again(lead, scenario)


@on_sqlite
def test_every_page_is_in_spanish_for_a_spanish_reader(app, scenario):
    seen = {}
    for answer in answers(app, scenario):
        path = answer.request.path
        if answer.mimetype == "text/html" and 'class="brand"' in answer.text:
            page = Reader(answer.text)
            assert page.language == "es", path
            if not path.endswith(IN_BOTH):
                seen[f"{answer.status_code} {path}"] = english_in(page.pieces)
    assert len(seen) >= 150
    assert {name: rest for name, words in seen.items() if (rest := {*words} - NAMES)} == {}


@on_sqlite
def test_every_email_is_in_spanish_for_a_spanish_reader(scenario):
    visitor = scenario.visitor
    visitor.headers = SPANISH
    scenario.invite_lead(LEAD)
    with scenario.services.writing.begin() as session:
        session.execute(update(Account).values(language="es"))
    scenario.enter(introduce_me="y", **{"question-1": "1"})
    with scenario.services.writing.begin() as session:
        session.execute(update(Subscription).values(is_reminded=True))
        plan_meeting(session, starts_on=now().astimezone(DENVER).date() + timedelta(days=1))
        later = replace(scenario.worker.work_in(session), at=now() + timedelta(hours=12))
        reminders.queue_due(later)
        queue_issue(session, subject="Hola a todos", text="Nos vemos **pronto**.")
    scenario.worker.drain()
    visitor.send("/my-groups", email=ADA)
    visitor.send("/sign-in", email=LEAD)
    sheet = link_to(scenario.mails()[-1], "my-groups").partition("?")[0]
    visitor.press(f"{sheet}/copy")
    scenario.worker.drain()
    visitor.press(f"{sheet}/erase")
    mails = [*scenario.mails(), *scenario.mails(LEAD)]
    for mail in mails:
        words = [str(mail["Subject"]), *Reader(html_of(mail)).pieces, *text_of(mail).splitlines()]
        assert english_in(words) == [], mail["Subject"]
        assert '<html lang="es"' in html_of(mail)
    assert {
        "Confirma tu solicitud a DPS Belong", "¡Te damos la bienvenida! Ya formas parte del grupo.",
        "Hola a todos", "El enlace que pediste", "La copia que pediste",
        "Tu enlace para iniciar sesión", "Borramos tus datos", "Se acerca una reunión",
    } <= {str(mail["Subject"]) for mail in mails}  # fmt: skip


def test_sentence_names_the_group_and_not_a_person():
    """Spanish has no article of its own here: its sentences say “el”, “del” or “al”."""
    for name, code, said_name in (
        ("Asian", "en", "the Asian Belong Group"),
        ("The Village", "en", "The Village Belong Group"),
        ("Asian", "es", "grupo Asian"),
        ("The Village", "es", "grupo The Village"),
    ):
        assert i18n.group_in_sentence(name, code) == said_name
