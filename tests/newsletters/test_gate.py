"""The gate: what a newsletter would fetch, tell or pass on stops it, wherever it is let go."""

import re
from datetime import timedelta
from itertools import product

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts.models import Account
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.groups import mailbox
from belong_mail.groups.header_words import identifying_word
from belong_mail.groups.models import Group
from belong_mail.leads import mailbox as shared_mailbox
from belong_mail.mail.message.linter import Rule
from belong_mail.newsletters import checklist, issue_mailer
from belong_mail.newsletters import release as releases
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Flyer, Newsletter, RenderedIssue
from tests.browser_client import html_of, links_in, text_of
from tests.clients import sign_in
from tests.db_dump import dump_of
from tests.delivery.factories import books
from tests.factories import group_named, queue_issue
from tests.markers import on_sqlite
from tests.newsletters.writing import act, refused, release, write
from tests.remote_content import remote_content
from tests.scenario import drain_in
from tests.smtp_raw import header_lines

pytestmark = pytest.mark.usefixtures("members")

SLUG = "lgbtq"
LEAD = f"lead-of-{SLUG}@dpsk12.org"
TRACKER = "https://tracker.example.net/p.gif"
# Words of a lead that must not do anything in an inbox; more stand in tests/mail/test_markdown.py.
HARMLESS_AS_SENT = [
    f'<img src="{TRACKER}">',
    f"![x]({TRACKER}?to={{first_name}})",
    f'<a href="https://x.net" ping="{TRACKER}">x</a>',
    f'<iframe src="{TRACKER}"></iframe><form action="{TRACKER}"><input></form>',
    "<!--[if mso]><img src='https://x.net'><![endif]-->",
    "\ue000\ue16c\ue165\ue161\ue176\ue165\ue001",
]
# The rule that stops it, and a part of the lead's sentence.
REFUSED = [
    ("[our page](https://bit.ly/3xY)", "goes through “bit.ly”"),
    ("[https://dpsk12.org](https://x.example.net)", "doesn’t go where it says: “dpsk12.org”"),
]

# Subjects that tell, and the word that a leader reads was found.
TELLING = {
    "News from {group}": "LGBTQ+",
    "LGBTQIA+ picnic": "lgbt",
    "L.G.B.T.Q.": "lgbt",
    "tr\u200bans": "trans",
    "Pride potluck": "pride",
}


@pytest.fixture
def lead(app, scenario):
    return sign_in(app, scenario.keyring, SLUG)


@pytest.fixture
def members(scenario) -> None:
    scenario.add_members(3, SLUG)


def checked(scenario, **words) -> tuple[list[str], list[str]]:
    """Return the problems of an issue with these words, and its HTML in each language."""
    with scenario.services.writing() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea", "Come.")
        for column, value in words.items():
            setattr(issue, column, value)
        made = checklist.render_each(issue, scenario.services.renderer, scenario.services.links)
        found = checklist.find_problems(issue, made, scenario.services.links)
        return [each.words for each in found], [each.rendered.html for each in made]


@on_sqlite
@pytest.mark.parametrize("text", HARMLESS_AS_SENT)
def test_text_that_a_leader_pastes_fetches_nothing_once_it_is_rendered(scenario, text):
    words = {"text": {"en": text, "es": text}, "subject": {"en": "A", "es": "B"}}
    problems, pages = checked(scenario, **words)
    assert problems == []
    assert [remote_content(each) for each in pages] == [[], []]


NAMED = "The subject or preview line names the group"
UNSENT = [
    *(("text", *each) for each in REFUSED),
    *(
        (field, words, f"{NAMED} or says what it’s about: “{told}”")
        for (words, told), field in product(TELLING.items(), ("subject", "preheader"))
    ),
]


@on_sqlite
@pytest.mark.parametrize(("field", "words", "said"), UNSENT)
def test_a_lead_reads_why_an_issue_is_not_sent(lead, scenario, field, words, said):
    spanish = {"subject_es": "Té", "text_es": "Vengan.", f"{field}_es": words}
    for typed in ({field: words}, spanish):
        page = write(lead, SLUG, **typed)
        assert ("You can’t send it with these words." in lead.open(page).text) is (field != "text")
        assert said in refused(lead, page)
        act(lead, page, "test")
        assert "emailing you a test copy" not in lead.open(f"{page}/release").text
    drain_in(scenario.worker, minutes=5)
    assert scenario.relay.accepted == []


@on_sqlite
@pytest.mark.parametrize("when", [[], ["--at", "2099-07-01T09:00:00"]])
@pytest.mark.parametrize(
    ("text", "subject", "said"),
    [
        *((text, "Tea", said) for text, said in REFUSED),
        *(("Come.", subject, NAMED) for subject in TELLING),
    ],
)
def test_the_command_line_queues_none_of_it(cli, tmp_path, scenario, when, text, subject, said):
    file = tmp_path / "issue.md"
    file.write_text(text)
    sent = cli.invoke(args=["newsletter", "send", SLUG, str(file), "--subject", subject, *when])
    assert sent.exit_code == 1
    assert said in sent.stderr
    assert dump_of(scenario.services)["newsletters"] == []


@pytest.mark.parametrize(
    ("written", "said"),
    [(("Tea", REFUSED[0][0]), REFUSED[0][1]), (("Pride tea", "Come."), "“pride”")],
)
def test_a_newsletter_scheduled_past_the_gate_is_held_and_its_leader_reads_why(
    lead, scenario, cli, written, said
):
    """An intruder who writes rows can schedule anything."""
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), *written)
        issue.due_at = now()
        public_id = issue.public_id
    assert scenario.mails("member1@dpsk12.org") == []
    told = scenario.relay.to(LEAD)[-1]
    assert told["Subject"] == "Your newsletter wasn’t sent. What would you like to do?"
    reason = "something in it has to change first"
    assert reason in text_of(told)
    page = lead.open(f"/lead/newsletters/{public_id}/sending").text
    assert f"Not sent: {reason}" in page
    assert said in page
    assert "Send or schedule" not in page
    released = cli.invoke(args=["newsletter", "release", public_id])
    assert released.exit_code == 1
    assert said in released.stderr
    assert scenario.query(select(Newsletter.due_at)) == [None]
    act(lead, f"/lead/newsletters/{public_id}", "undo")
    fields = {"subject": "Potluck", "text": "Come."}
    assert lead.send(f"/lead/newsletters/{public_id}", **fields).status_code == 303
    release = f"/lead/newsletters/{public_id}/release"
    assert lead.send(release, when="1").status_code == 303


@on_sqlite
def test_an_issue_that_cannot_even_be_written_is_held_and_its_lead_asked(lead, scenario):
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea", "Come.")
        issue.subject, issue.due_at, public_id = {}, now(), issue.public_id
    assert "something in it has to change first" in text_of(scenario.mails(LEAD)[-1])
    assert "Add a subject." in lead.open(f"/lead/newsletters/{public_id}/sending").text


def bend_subject(session, _keyring) -> None:
    session.execute(update(Newsletter).values(subject={"en": "LGBTQIA+ picnic"}))


def bend_frozen_bytes(session, keyring) -> None:
    """The gate reads what leaves, not what it was made of."""
    issue = session.scalars(select(Newsletter)).one()
    for frozen in session.scalars(select(RenderedIssue)):
        row = issue_mailer.issue_row(issue, frozen.language)
        made = keyring.opener.unwrap(frozen.wire, issue_mailer.TEMPLATE_COLUMN, row)
        bad = made.replace(b"Subject: Tea", b"Subject: LGBT")
        assert bad != made
        frozen.wire = keyring.opener.wrap(bad, issue_mailer.TEMPLATE_COLUMN, row)


@pytest.mark.parametrize("bend", [bend_subject, bend_frozen_bytes])
def test_deferred_copies_wait_if_the_words_that_would_leave_identify_the_group(scenario, bend):
    scenario.relay.script("RCPT", *["451 4.3.0 Later"] * 3)
    scenario.do(queue_issue, SLUG, subject="Tea")
    scenario.worker.drain()
    scenario.do(bend, scenario.keyring)
    with time_machine.travel(now() + timedelta(hours=1), tick=True):
        for _ in range(3):
            scenario.worker.drain()
    assert scenario.relay.accepted == []
    with scenario.services.reading.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        assert newsletters.report(session, issue)["deferred"] == 3
        assert issue.paused_at is not None


@on_sqlite
@pytest.mark.parametrize("language", i18n.NAMES)
@pytest.mark.parametrize(
    "told", ["LGBT%51", "Pr\u00adide", "=?utf-8?b?TEdCVFE=?=", "{group}", "diversidad sexual"]
)
def test_no_disguise_brings_a_name_into_a_header(scenario, told, language):
    words = {"en": "Tea", language: told}
    texts = dict.fromkeys(words, "Come.")
    for column in ("subject", "preheader"):
        shown = {"subject": dict.fromkeys(words, "Tea"), "text": texts, column: words}
        problems, _ = checked(scenario, **shown)
        assert {checklist.TELLS, checklist.GATE[Rule.HEADER]} & set(problems)


@on_sqlite
def test_a_reply_address_or_a_flyer_that_names_the_group_goes_through_no_door(scenario, caplog):
    mailer = scenario.worker._mailer
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        issue = newsletters.draft(session, group, "Tea", "Come.")
        assert issue_mailer.fit_messages(mailer, issue)
        flyer = Flyer(title="LGBTQ+ flyer", content=b"%PDF-", size=5, pages=1, is_tagged=True)
        issue.flyers = [flyer]
        assert not issue_mailer.fit_messages(mailer, issue)
        held = f"Newsletter {issue.id} is held: something in it has to change first."
        assert held in caplog.text
        assert "LGBTQ" not in caplog.text
        flyer.title = "Tea"
        assert issue_mailer.fit_messages(mailer, issue)
        mailbox.wrap_mailbox(scenario.keyring.opener, group, "group6@dpsk12.org")
        assert issue_mailer.fit_messages(mailer, issue)
        session.rollback()


@on_sqlite
@pytest.mark.parametrize("what", ["text", "title", "many"])
def test_an_issue_too_large_for_any_form_is_held_before_it_is_read(what, scenario):
    """The web may write megabytes, and some work on words grows with their square."""
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "the-village"), "Tea", "Come.")
        titles = {"text": [], "title": ["a" + "\u0301\u0316" * 300_000], "many": ["Tea"] * 6}[what]
        if what == "text":
            issue.text = {"en": "a" * 100_001}
        issue.flyers = [
            Flyer(title=each, content=b"%PDF-", size=5, pages=1, is_tagged=True) for each in titles
        ]
        session.flush()
        assert not issue_mailer.fit_messages(scenario.worker._mailer, issue)
        session.rollback()


def test_two_copies_differ_in_links_and_greeting_alone(scenario):
    scenario.do(queue_issue, SLUG, subject="Tea, {first_name}", text="Dear {first_name}, come.")
    one, other = (scenario.mails(f"member{each}@dpsk12.org")[0] for each in (1, 2))
    own = {"To", "Message-ID", "List-Unsubscribe"}
    assert {name for name in one if one[name] != other[name]} == own
    [leave], [other_leave] = (
        [each for each in links_in(mail) if "/leave/" in each] for mail in (one, other)
    )
    assert leave != other_leave
    for part in (text_of, html_of):
        assert part(one).replace(leave, other_leave) == part(other)


# No header tells which group an issue is from: one gate at queueing, and a second before it.


@pytest.mark.parametrize("words", TELLING)
def test_nothing_that_queues_lets_an_identifying_subject_or_preview_line_pass(scenario, words):
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        for column, language in product(("subject", "preheader"), i18n.NAMES):
            issue = newsletters.draft(session, group, "Tea", "Come.")
            issue.text = {"en": "Come.", "es": "Vengan."}
            setattr(issue, column, {"en": "Tea", language: words})
            with pytest.raises(newsletters.InvalidState):
                releases.release(session, issue, now())
            assert issue.queued_at is issue.due_at is None


@pytest.mark.parametrize("column", ["subject", "preheader"])
def test_an_issue_under_way_whose_words_identify_the_group_is_paused_for_good(
    lead, scenario, cli, column
):
    """Some may have got it before: the command does not say that nothing was sent."""
    issue = scenario.queue_at_once(SLUG)
    scenario.execute(update(Newsletter).values({column: {"en": "News from {group}"}}))
    number, page = issue.id, f"/lead/newsletters/{issue.public_id}"
    assert scenario.mails("member1@dpsk12.org") == []
    shown = lead.open(f"{page}/sending").text
    assert "Not sent: something in it has to change first." in shown
    assert NAMED in shown
    assert "Resume" not in shown
    act(lead, page, "resume", status=409)
    ended = cli.invoke(args=["newsletter", "resume", page.rpartition("/")[2]])
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: Nothing more was sent.\n")
    assert scenario.mails("member1@dpsk12.org") == []
    assert books(scenario.services, number) == {"recipients": 3, "queued": 3}
    act(lead, page, "stop")
    assert books(scenario.services, number) == {"recipients": 3, "withdrawn": 3}


def test_every_header_of_a_discreet_groups_emails_is_silent(lead, scenario, visitor):
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        mailbox.wrap_mailbox(scenario.keyring.opener, group, "lgbtq-leads@dpsk12.org")
        name = Group(slug=group.slug, name=group.name)
        names = VerpAddresses((), scenario.services.settings.mail_domain)
        list_id = names.list_id(scenario.keyring.index.list_label(group.public_id))
    page = write(lead, SLUG, text_es="Vengan.", subject_es="Té")
    act(lead, page, "test")
    visitor.join(SLUG, "new@dpsk12.org")
    visitor.join(SLUG, "member1@dpsk12.org")
    release(lead, page, scenario.worker)
    assert len(scenario.relay.accepted) >= 7
    for one in scenario.relay.accepted:
        headers = dict(header_lines(one.data))
        del headers["To"]  # the reader's own address
        headers.pop("List-Unsubscribe", "")
        for line in (one.return_path, *headers.values()):
            # What is made at random says any four letters by chance.
            said = re.sub("[0-9a-f]{32,}", "", line.replace(list_id, ""))
            assert identifying_word(name, said) == "", line
    [mail] = scenario.relay.to("member2@dpsk12.org")
    assert mail["Reply-To"] == "dps-belong@example.org"
    assert "the Belong office will see your email address" in text_of(mail)


@pytest.mark.parametrize("settings", [{"BELONG_MAIL_FROM": "DPS LGBTQ+ Network"}])
def test_no_newsletter_of_a_discreet_group_comes_from_an_identifying_sender_name(scenario):
    scenario.do(queue_issue, SLUG)
    scenario.worker.drain()
    assert scenario.relay.accepted == []


def test_the_worker_asks_no_mailbox_that_names_the_group_or_belongs_to_a_stranger(lead, scenario):
    """The page refuses it; an intruder in the web can write down any proposal."""
    page = f"/lead/groups/{SLUG}/page"
    typed = {"summary_en": "Company.", "mailbox": "lgbtq-leads@dpsk12.org"}
    answer = lead.send(page, **typed)
    assert answer.status_code == 422
    assert "This address names the group" in answer.text
    for strange in ("pride@dpsk12.org", "eve@example.org"):
        with scenario.services.writing.begin() as session:
            group, account = group_named(session, SLUG), session.scalars(select(Account)).one()
            proposed = (session, scenario.services.sealer, group, account, strange, "en")
            shared_mailbox.propose_mailbox(*proposed)
        assert scenario.mails(strange) == scenario.relay.to(LEAD) == []
    assert lead.send(page, **{**typed, "mailbox": "group6@dpsk12.org"}).status_code == 303
    assert len(scenario.mails("group6@dpsk12.org")) == 1
