"""No header tells which group an issue is from: one gate at queueing, and a second before it."""

import re
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts.models import Account
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.email_templates import EMAILS
from belong_mail.core.services import Services
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.groups import mailbox
from belong_mail.groups.header_words import (
    HeaderNamesGroup,
    identifying_word,
    require_quiet_headers,
)
from belong_mail.groups.models import Group
from belong_mail.leads import mailbox as shared_mailbox
from belong_mail.newsletters import release as releases
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.worker.loop import make_worker
from tests.browser_client import Visitor, text_of
from tests.clients import sign_in
from tests.factories import group_named, make_members, queue_issue
from tests.newsletters.writing import act, begin
from tests.smtp_raw import header_lines

SLUG = "lgbtq"
LEAD = f"lead-of-{SLUG}@dpsk12.org"
TELLING = ["News from {group}", "LGBTQIA+ picnic", "L.G.B.T.Q.", "tr\u200bans", "Pride potluck"]


@pytest.fixture
def lead(app: Any, keyring: Keyring) -> Visitor:
    return sign_in(app, keyring, SLUG)


@pytest.fixture
def members(services: Services, keyring: Keyring) -> None:
    with services.writing.begin() as session:
        make_members(session, keyring, 3, SLUG)


@pytest.fixture
def issue_file(tmp_path: Path) -> str:
    file = tmp_path / "issue.md"
    file.write_text("Come to tea.")
    return str(file)


def draft(lead: Visitor, **words: str) -> str:
    page = begin(lead, SLUG)
    typed = {"subject": "Tea on Friday", "text": "Come to tea.", **words}
    assert lead.send(page, **typed).status_code == 303
    return page


def shown(one: Any) -> list[str]:
    """List what others may see of a message: all headers but the reader's own address."""
    return [one.return_path] + [
        value for name, value in header_lines(one.data) if name not in {"To", "List-Unsubscribe"}
    ]


def without_ids(line: str, list_id: str) -> str:
    """Take what is made at random out of a header: by chance it says any four letters."""
    return re.sub("[0-9a-f]{32,}", "", line.replace(list_id, ""))


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize("field", ["subject", "preheader"])
@pytest.mark.parametrize("words", TELLING)
def test_an_issue_whose_subject_or_preview_line_tells_is_not_released_and_the_lead_reads_why(
    lead, words, field, worker, relay
):
    in_spanish = {"subject_es": "B", "text_es": "A", f"{field}_es": words}
    for typed in ({field: words}, in_spanish):
        page = draft(lead, **typed)
        assert "You can’t send it with these words." in lead.open(page).text
        assert "The subject or preview line names the group" in lead.open(f"{page}/release").text
        assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422
        act(lead, page, "test")
        assert "emailing you a test copy" not in lead.open(f"{page}/release").text
    with time_machine.travel(now() + timedelta(minutes=5), tick=True):
        worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    assert relay.to(LEAD) == []


@pytest.mark.parametrize("when", [[], ["--at", "2099-07-01T09:00:00"]])
@pytest.mark.parametrize("subject", TELLING)
def test_the_command_line_queues_no_subject_that_tells(cli, issue_file, subject, when, services):
    sent = cli.invoke(args=["newsletter", "send", SLUG, issue_file, "--subject", subject, *when])
    assert sent.exit_code == 1
    assert "The subject or preview line says “" in sent.stderr
    with services.reading.begin() as session:
        assert session.scalars(select(Newsletter)).all() == []


@pytest.mark.parametrize("words", TELLING)
def test_nothing_that_queues_lets_an_identifying_subject_or_preview_line_pass(services, words):
    with services.writing.begin() as session:
        group = group_named(session, SLUG)
        for column, language in product(("subject", "preheader"), i18n.NAMES):
            issue = newsletters.draft(session, group, "Tea", "Come.")
            issue.text = {"en": "Come.", "es": "Vengan."}
            setattr(issue, column, {"en": "Tea", language: words})
            with pytest.raises(newsletters.SubjectNamesGroup):
                newsletters.queue(session, issue)
            with pytest.raises(newsletters.SubjectNamesGroup):
                releases.release(session, issue, now())
            assert issue.queued_at is issue.due_at is None


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize("column", ["subject", "preheader"])
def test_an_issue_that_is_on_its_way_and_tells_is_paused_for_good(
    lead, services, worker, relay, column
):
    with services.writing.begin() as session:
        public_id = queue_issue(session, SLUG).public_id
        session.execute(update(Newsletter).values({column: {"en": "News from {group}"}}))
    worker.drain()
    page = f"/lead/newsletters/{public_id}"
    assert relay.to("member1@dpsk12.org") == []
    shown_page = lead.open(f"{page}/sending").text
    assert "Not sent: its subject or preview line names the group" in shown_page
    assert "Resume" not in shown_page
    act(lead, page, "resume", status=409)
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    with services.reading.begin() as session:
        counts = newsletters.report(session, session.scalars(select(Newsletter)).one())
    assert counts["recipients"] == counts["queued"] == 3
    act(lead, page, "stop")
    with services.reading.begin() as session:
        counts = newsletters.report(session, session.scalars(select(Newsletter)).one())
    assert counts["withdrawn"] == 3


@pytest.mark.usefixtures("members")
def test_copies_that_wait_for_a_second_try_stay_where_their_subject_tells(
    services, keyring, worker, relay
):
    relay.script("RCPT", *["451 4.3.0 Later"] * 3)
    with services.writing.begin() as session:
        queue_issue(session, SLUG)
    worker.drain()
    with services.writing.begin() as session:
        session.execute(update(Newsletter).values(subject={"en": "LGBTQIA+ picnic"}))
    newer = make_worker(services, keyring)
    with time_machine.travel(now() + timedelta(hours=1), tick=True):
        for _ in range(3):
            newer.drain()
    newer.engine.close()
    assert relay.accepted == []
    with services.reading.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        assert newsletters.report(session, issue)["deferred"] == 3
        assert issue.paused_at is not None


@pytest.mark.usefixtures("members")
def test_every_header_of_a_discreet_groups_emails_is_silent(
    lead, services, keyring, worker, relay, visitor
):
    with services.writing.begin() as session:
        group = group_named(session, SLUG)
        mailbox.wrap_mailbox(keyring.opener, group, "lgbtq-leads@dpsk12.org")
        name = Group(slug=group.slug, name=group.name)
        names = VerpAddresses((), services.settings.mail_domain)
        list_id = names.list_id(keyring.index.list_label(group.public_id))
    page = draft(lead, text_es="Vengan.", subject_es="Té")
    act(lead, page, "test")
    visitor.join(SLUG, "new@dpsk12.org")
    visitor.join(SLUG, "member1@dpsk12.org")
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 303
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        worker.drain()
    assert len(relay.accepted) >= 7
    for one in relay.accepted:
        for line in shown(one):
            assert identifying_word(name, without_ids(line, list_id)) == "", line
    [mail] = relay.to("member2@dpsk12.org")
    assert mail["Reply-To"] == "dps-belong@example.org"
    assert "the Belong office will see your email address" in text_of(mail)


@pytest.mark.parametrize("settings", [{"BELONG_MAIL_FROM": "DPS LGBTQ+ Network"}])
@pytest.mark.usefixtures("members")
def test_no_email_about_a_discreet_group_comes_from_a_name_that_tells(
    services, worker, relay, visitor
):
    with services.writing.begin() as session:
        queue_issue(session, SLUG)
    visitor.join(SLUG, "new@dpsk12.org")
    worker.drain()
    assert relay.accepted == []


def test_a_mailbox_that_names_the_group_is_refused_and_the_worker_does_not_ask_it(
    lead, worker, relay
):
    page = f"/lead/groups/{SLUG}/page"
    typed = {"summary_en": "Company.", "mailbox": "lgbtq-leads@dpsk12.org"}
    refused = lead.send(page, **typed)
    assert refused.status_code == 422
    assert "This address names the group" in refused.text
    assert lead.send(page, **{**typed, "mailbox": "group6@dpsk12.org"}).status_code == 303
    worker.drain()
    assert len(relay.to("group6@dpsk12.org")) == 1


def test_the_worker_asks_no_mailbox_that_names_the_group(lead, services, worker, relay):
    """An intruder in the web can write down any proposal."""
    with services.writing.begin() as session:
        group, account = group_named(session, SLUG), session.scalars(select(Account)).one()
        proposed = (session, services.sealer, group, account, "pride@dpsk12.org", "en")
        shared_mailbox.propose_mailbox(*proposed)
    worker.drain()
    assert relay.to("pride@dpsk12.org") == []
    assert relay.to(LEAD) == []
    assert lead.open(f"/lead/groups/{SLUG}/page").status_code == 200


def test_a_single_email_that_would_tell_is_not_written(services):
    with services.writing.begin() as session:
        group = group_named(session, SLUG)
        for telling in ("About LGBTQ+", "P R I D E"):
            with pytest.raises(HeaderNamesGroup):
                require_quiet_headers(group, ("DPS Belong", telling))
            with pytest.raises(HeaderNamesGroup):
                require_quiet_headers(group.name, (telling, ""))
        require_quiet_headers(group, ("DPS Belong", "Welcome! You’re in."))
        require_quiet_headers(None, ("DPS Belong", telling))
        with pytest.raises(TypeError):
            require_quiet_headers([group.name], ("DPS Belong", telling))
        require_quiet_headers(group_named(session, "the-village"), ("The Village",))


@pytest.mark.parametrize("language", i18n.NAMES)
def test_the_fixed_subjects_and_first_lines_are_silent_about_every_group(services, language):
    """Our own words, in each language, tell of none of the district's groups."""
    catalog = i18n.catalog(language)
    with services.reading.begin() as session:
        for group in session.scalars(select(Group)):
            for message in fixed_words():
                assert identifying_word(group, catalog.gettext(message)) == "", message


def fixed_words() -> set[str]:
    """Return what stands in the subjects and preheaders of all our emails."""
    head = re.compile(r"{% set (?:subject|preheader) =(.*?)%}", re.DOTALL)
    parts = [part for file in EMAILS.glob("*.jinja") for part in head.findall(file.read_text())]
    found = {words for part in parts for words in re.findall(r'_\("([^"]+)"', part)}
    assert len(found) > 30
    return found
