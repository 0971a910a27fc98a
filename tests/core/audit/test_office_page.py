"""The office reads who did what: filtered, page by page."""

import re
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import insert, select, update

from belong_mail.accounts.models import Account
from belong_mail.core import site_settings
from belong_mail.core.audit import AuditEntry, Kind, Role
from belong_mail.core.db import now
from belong_mail.groups.header_words import SITE_WORDS
from belong_mail.newsletters import approval
from belong_mail.newsletters.models import Newsletter
from belong_mail.office import trail
from tests.db_dump import trail as trail_of
from tests.markers import on_both
from tests.newsletters.writing import write

PAGE = "/office/audit"


def add(services, number: int = 1, **values: object) -> None:
    row = {"kind": Kind.STOPPED, "role": Role.OPERATOR, **values}
    with services.writing.begin() as session:
        session.execute(insert(AuditEntry), [row] * number)


def listed(office, query: str = "") -> list[str]:
    """List the lines of the page in words, each with its author before it."""
    page = office.open(f"{PAGE}?{query}")
    assert page.status_code == 200
    found = re.sub(r'<li class="day">.*?</li>', "", page.text.partition('class="trail"')[2])
    runs = found.partition("</ul>")[0].split('<li class="author">')[1:]
    said = [re.sub(r"<[^>]+>", " ", each.replace("</li>", "|")).split("|")[:-1] for each in runs]
    return [" ".join(f"{author}: {line}".split()) for author, *lines in said for line in lines]


def test_office_reads_who_did_what_when_and_from_which_session(office, services):
    page = write(office)
    office.send(f"{page}/release", when="10")
    newest, *_rest = listed(office)
    account, there = str(trail_of(services)[0].actor), trail_of(services)[-1].browser_session
    assert "Newsletter sent or scheduled · The Village" in newest
    assert f"Account {trail.reference(account)} (you)" in newest
    assert f"session {trail.reference(there)}" in newest
    assert account not in newest
    add(services, role=Role.ACCOUNT, actor=account)
    add(services, role=Role.ACCOUNT, actor=account, browser_session=there)
    assert office.open(PAGE).text.count('class="author"') == 1, "the worker in their name, too"
    assert office.open(PAGE).text.count("session ") == 1
    earlier = len(listed(office)) - 1  # all but the one without a session
    add(services, role=Role.ACCOUNT, actor=account, browser_session="another")
    told = f"session {trail.reference(there)}"
    assert sum(told in line for line in listed(office)) == earlier, "at each line of it"
    assert f'href="/office/newsletters/{page.rpartition("/")[2]}"' in office.open(PAGE).text
    assert "Tea on Friday" not in " ".join(listed(office))


def test_person_is_called_as_the_office_does(office, services):
    with services.writing.begin() as session:
        account = session.scalars(select(Account)).one()
        account.name, public_id = "Sam Rivera", account.public_id
    add(services, kind=Kind.LEAD_REMOVED, account=public_id)
    add(services, role=Role.ACCOUNT, actor=public_id, account=public_id)
    own, about = listed(office)[:2]
    assert "Sam Rivera (you)" in own
    assert "To whom" not in own
    assert "To whom: Sam Rivera (you)" in about
    add(services, role=Role.ACCOUNT, actor="operator", account="worker")
    assert "on the server" not in listed(office)[0], "the web can’t speak as an operator"
    assert "The system" not in listed(office)[0]


def test_details_are_told_in_words_and_ids_to_nobody(office, services):
    for detail, words in (
        ("video_url", "Setting changed: Link to the office’s video"),
        ("3", "Setting changed"),
        ("about-3000", "Setting changed: about 3,000"),
        ("about-it", "Setting changed"),
        ("K7qM_2xR-idOfSomething", "Setting changed"),
    ):
        add(services, kind=Kind.SETTING_CHANGED, detail=detail)
        assert listed(office)[0].endswith(f"M {words}")
    add(services, kind=Kind.COMMAND_RUN, detail="db-upgrade")
    assert "Command run: db upgrade" in listed(office)[0]
    choices = {f"approval-{each}" for each in (approval.AUTO, approval.ALWAYS, approval.NEVER)}
    refused = {"has-passkey", "other-browser", "too-often"}
    held = {"late", "unapproved", "unfit"}
    kept = {*site_settings.EDITABLE, SITE_WORDS, *choices, *refused, *held}
    assert kept <= trail.DETAILS.keys(), "each setting has words, and why something did not happen"


def test_draft_is_not_opened_from_the_trail_and_what_is_held_is(office, services):
    write(office)
    assert "Newsletter written" in listed(office)[0]
    opened = 'href="/office/newsletters/'
    assert opened not in office.open(PAGE).text
    with services.writing.begin() as session:
        session.execute(update(Newsletter).values(held_at=now()))
    assert opened in office.open(PAGE).text


def test_page_says_who_acted_where_it_was_no_account(office, services):
    for role, words in (
        (Role.OPERATOR, "An operator, on the server"),
        (Role.WORKER, "The system"),
        (Role.NOBODY, "Someone who wasn’t signed in"),
    ):
        add(services, role=role)
        assert words in listed(office)[0]


@on_both("times and JSON")
def test_filters_narrow_the_list(office, services):
    add(services, group_slug="asian", account="somebody")
    add(services, kind=Kind.PAUSED, group_slug="lgbtq")
    add(services, kind=Kind.PAUSED, at=now() - timedelta(days=40))
    day = (now() - timedelta(days=30)).date()
    # In the evening of that day in Denver.
    add(services, at=datetime.combine(day, time(4), UTC) + timedelta(days=1))
    for query, number in (
        ("group=asian", 1),
        ("kind=newsletter+paused", 2),
        (f"kind=newsletter+paused&since={day}", 1),
        (f"until={day}", 2),
        ("group=asian&kind=newsletter+paused", 0),
        (f"kind=newsletter+stopped&until={day}", 1),
    ):
        assert len(listed(office, query)) == number, query
    page = office.open(f"{PAGE}?since=soon")
    assert page.status_code == 422
    assert "Choose a date" in page.text


def test_older_entries_are_a_page_away(office, services):
    add(services, trail.ENTRIES_A_PAGE + 20, group_slug="asian")
    page = office.open(f"{PAGE}?group=asian").text
    assert len(listed(office, "group=asian")) == trail.ENTRIES_A_PAGE
    [older] = re.findall(r'href="([^"]+)" rel="next"', page)
    query = older.replace("&amp;", "&").partition("?")[2]
    assert len(listed(office, query)) == 20
    assert 'rel="next"' not in office.open(f"{PAGE}?{query}").text


def test_entry_of_a_kind_that_is_unknown_is_shown_as_it_is(office, services):
    """The others are in Spanish too."""
    add(services, kind=Kind.PAUSED)
    add(services, kind="<b>something new</b>", group_slug="gone-group")
    assert "gone-group" in listed(office)[0]
    page = office.open(f"{PAGE}?lang=es").text
    assert "&lt;b&gt;something new&lt;/b&gt;" in page
    assert "<h1>Registro</h1>" in page
    assert "Boletín pausado" in page
