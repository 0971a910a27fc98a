"""A made-up district, installed from the same code, says its own names and none of Denver's."""

import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from belong_mail.app import create_app
from belong_mail.core import i18n
from belong_mail.core.services import Services
from belong_mail.groups import service as groups
from belong_mail.groups.header_words import identifying_word, is_discreet
from belong_mail.groups.models import Group, Question
from belong_mail.ops.cli import ENTRIES
from belong_mail.ops.setup_answers import CRISIS_LINE
from config import Config
from tests import crawl
from tests.browser_client import Visitor, html_of, path_of, text_of
from tests.emails.given import contexts
from tests.markers import on_sqlite
from tests.web_role import pages_as_web

pytestmark = on_sqlite
SITE = "Lakeside Together"
SETTINGS = {
    "BELONG_SITE_NAME": SITE,
    "BELONG_DISTRICT_NAME": "Lakeside Public Schools",
    "BELONG_DISTRICT_SHORT": "Lakeside",
    "BELONG_PROGRAM_NAME": "Together",
    "BELONG_TIMEZONE": "America/Chicago",
    "BELONG_MAIL_DOMAIN": "together.lakeside.example",
    "BELONG_POSTAL_ADDRESS": f"{SITE}, 1 Pier Road, Lakeside, IL 60000",
    "BELONG_CONTACT_INBOX": "together@lakeside.example",
    "BELONG_HELP_LINES": (
        "SafeTip 800-555-0100 https://safetip.example, 988 Lifeline 988 https://988lifeline.org"
    ),
    # The second one is that of the addresses on the walk past every page.
    "BELONG_ALLOWED_DOMAINS": "lakeside.example,dpsk12.org",
}
# The walk needs addresses of these kinds: an open group, a second one, one that is discreet by its
# name alone, and one that is to start.
GROUPS = {
    "the-village": "Night Shift",
    "asian": "Book Club",
    "lgbtq": "Pride Alliance",
    "autoimmune": "New Parents",
}
# The product is called Belong Mail wherever it runs.
OURS = re.compile(
    r"\bDPS\b|Denver|dpsk12|Colorado|Safe2Tell|877-542|\bBelong\b(?! Mail\b)", re.IGNORECASE
)
# Words that people wrote in lower case are no names of ours.
VERB = re.compile(r"\bbelong(?:ing)?\b")
# Addresses of those who walk, and paths that every district has.
WALKERS = re.compile(
    r"[\w.]+(?:@|%40)(?:dpsk12[.]org)|__Host-belong|/static/belong[.]css|belong[.]css|X-BELONG"
)


def ours_in(text: str) -> list[str]:
    """List what a text says of Denver, with some words around it."""
    said = VERB.sub("", WALKERS.sub("", text))
    return [said[max(0, each.start() - 40) : each.end() + 20] for each in OURS.finditer(said)]


def in_each_language(visitor, path: str) -> Iterator[tuple[str, TestResponse]]:
    bare = re.sub(r"[?&]lang=\w+", "", path)
    joined = "&" if "?" in bare else "?"
    for code in i18n.NAMES:
        url = f"{bare}{joined}lang={code}"
        yield url, visitor.client.get(url, buffered=True)


@pytest.fixture
def settings() -> dict[str, str]:
    return dict(SETTINGS)


@pytest.fixture
def app(environment):
    """The same code, without `--seed dps`; afterward this process is ours again."""
    ours = i18n.names()
    app = create_app(Config.read(environment))
    services: Services = app.extensions["belong"]
    with services.writing.begin() as session:
        for slug, name in GROUPS.items():
            is_upcoming = slug == "autoimmune"
            group = groups.add(session, slug, name, f"{name} at Lakeside.", is_upcoming=is_upcoming)
            asked = {"en": "Would you bring tea?", "es": "¿Traerías té?"}
            group.questions.append(Question(position=1, kind="consent", label=asked))
            group.summary = {"en": f"{name} at Lakeside.", "es": f"{name} en Lakeside."}
    with pages_as_web(services.engine):
        yield app
    services.engine.dispose()
    i18n.use_names(ours)


def pages(app, scenario) -> Iterator[tuple[str, TestResponse]]:
    """Open every page that there is, in each language, and press every mailed button."""
    visitor, services = scenario.visitor, scenario.services
    links = crawl.mailed_links(scenario)
    for stop in crawl.stops(services, links, crawl.reference_of(visitor)):
        yield from in_each_language(visitor, path_of(stop.url))
    yield from crawl.pressed(visitor, links)
    for answer in crawl.used(scenario):
        yield "used", answer
    lead = crawl.sign_in(app, scenario.keyring)
    for path in list(crawl.lead_stops(app, services)):
        yield from in_each_language(lead, path)
    for answer in crawl.all_of_a_lead(lead, services):
        yield "lead", answer
    for wrong in ("nobody", "ada@elsewhere.example", "ada@lakeside.exampel"):
        for code in i18n.NAMES:
            sent = visitor.send(f"/groups/asian/join?lang={code}", email=wrong)
            yield f"join as {wrong}", sent
            yield "contact", visitor.send(f"/contact?lang={code}", email=wrong)


def test_every_page_and_email_of_the_walk_says_its_own_names_and_none_of_ours(app, scenario):
    found: dict[str, list[str]] = {}
    nameless: list[str] = []
    whole = ""
    for name, answer in pages(app, scenario):
        content = f"{answer.headers}\n{answer.get_data().decode('utf-8', 'replace')}"
        whole += content
        if wrong := ours_in(content):
            found[name] = wrong
        is_page = answer.mimetype == "text/html" and answer.data and not answer.location
        if is_page and SITE not in content:
            nameless.append(name)
    assert scenario.relay.accepted
    for one in scenario.relay.accepted:
        mail = one.message
        said = f"{mail['From']} {mail['Subject']}\n{text_of(mail)}\n{html_of(mail)}"
        assert ours_in(said) == [], mail["Subject"]
    assert found == {}
    # The email that is shown there is nobody's.
    assert [name for name in nameless if not re.match("/dev/mailbox/.*/html", name)] == []
    for own in ("Lakeside Public Schools", "SafeTip", "800-555-0100", "Chicago time",
                "hora de Chicago", "Together office", "oficina de Together", "@lakeside.example",
                *GROUPS.values()):  # fmt: skip
        assert own in whole, own


def test_every_email_says_its_own_names_and_none_of_ours(services):
    for language in i18n.NAMES:
        for kind, cases in contexts(lambda _plain: "Tea").items():
            for case in cases:
                email = services.renderer.render(kind, language, **case)
                for part in (email.text, email.html):
                    assert ours_in(f"{email.subject} {email.preheader} {part}") == [], kind
                    assert SITE in part, kind


def test_commands_say_none_of_ours(app):
    cli = app.test_cli_runner()
    asked = [f"{name} --help" for name in ENTRIES]
    asked += ["--help", "group list", "doctor", "status", "lead list", "hold status", "db upgrade"]
    output = [cli.invoke(args=each.split()).output for each in asked]
    about_seeds = re.compile(r"--seed.*|\bdps\b|SHORT Belong")
    assert [wrong for each in output for wrong in ours_in(about_seeds.sub("", each))] == []


def test_a_group_of_another_district_is_discreet_by_its_name_alone(app):
    """And the words of the site's own names tell nothing of any group."""
    group, named = (
        Group(slug="pride", name=name, known_names=[name], is_discreet=False)
        for name in ("Pride Alliance", "Lakeside Pride Alliance")
    )
    assert is_discreet(group)
    assert identifying_word(group, "Rainbow breakfast") != ""
    assert identifying_word(group, "The Pride Alliance meets") != ""
    for ours in (SITE, "News from your Together group.", "Tea at Lakeside"):
        assert identifying_word(named, ours) == ""


def test_without_a_line_for_students_safety_nothing_speaks_of_one(environment, services, visitor):
    assert "SafeTip" in visitor.open("/contact").text
    with_line = services.renderer.render("contact-received", "en", reference="5K2F")
    assert "SafeTip" in with_line.text
    assert "SafeTip" in with_line.html
    without = Config.read({**environment, "BELONG_HELP_LINES": CRISIS_LINE})
    other = create_app(without)
    page = Visitor(other.test_client(use_cookies=False)).open("/contact").text
    email = other.extensions["belong"].renderer.render("contact-received", "en", reference="5K2F")
    other.extensions["belong"].engine.dispose()
    for said in (page, email.text, email.html):
        assert "911" in said
        assert "988" in said
        assert "student’s safety" not in said
