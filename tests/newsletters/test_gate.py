"""The gate: what a newsletter would fetch, tell or pass on stops it, wherever it is let go."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.groups import mailbox
from belong_mail.mail.message.linter import Rule
from belong_mail.newsletters import checklist, issue_mailer
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Flyer, Newsletter, RenderedIssue
from belong_mail.worker.loop import make_worker
from tests.browser_client import Visitor, html_of, links_in, text_of
from tests.clients import sign_in
from tests.factories import group_named, make_members, queue_issue
from tests.newsletters.writing import act, begin
from tests.markers import on_sqlite
from tests.remote_content import remote_content

SLUG = "lgbtq"
LEAD = f"lead-of-{SLUG}@dpsk12.org"
TRACKER = "https://tracker.example.net/p.gif"
# Words of a lead that must not do anything in an inbox.
HARMLESS_AS_SENT = [
    f'<img src="{TRACKER}">',
    f"![x]({TRACKER})",
    "![x](data:image/gif;base64,R0lGODlhAQABAAAAACw=)",
    f"![x]({TRACKER}?to={{first_name}})",
    f'<div style="background:url({TRACKER})">x</div>',
    f"<style>@import '{TRACKER}';</style>",
    f'<a href="https://x.net" ping="{TRACKER}">x</a>',
    "<script>fetch('https://x.net')</script>",
    f'<iframe src="{TRACKER}"></iframe><form action="{TRACKER}"><input></form>',
    "[x](javascript:alert(1)) [y](data:text/html,x) [z](//x.net) [w](/leave)",
    f"[x][1]\n\n[1]: {TRACKER} \"' onmouseover='x()\"",
    "&lt;img src=x&gt; &#60;script&#62;",
    "<!--[if mso]><img src='https://x.net'><![endif]-->",
    "\ue000\ue16c\ue165\ue161\ue176\ue165\ue001",
]
# The rule that stops it, and a part of the lead's sentence.
REFUSED = [
    ("[our page](https://bit.ly/3xY)", "goes through “bit.ly”"),
    (
        "[x](https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fdpsk12.org&data=a)",
        "goes through “nam02.safelinks.protection.outlook.com”",
    ),
    ("https://www.google.com/url?q=https://dpsk12.org", "goes through “www.google.com”"),
    ("[https://dpsk12.org](https://x.example.net)", "doesn’t go where it says: “dpsk12.org”"),
    ("[x](https://dpsk12.org@x.example.net/)", "doesn’t go where it says"),
]


@pytest.fixture
def lead(app: Any, keyring: Keyring) -> Visitor:
    return sign_in(app, keyring, SLUG)


@pytest.fixture
def members(services: Services, keyring: Keyring) -> None:
    with services.writing.begin() as session:
        make_members(session, keyring, 3, SLUG)


@contextmanager
def issue_of(services: Services, **words: Any) -> Iterator[Newsletter]:
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea", "Come.")
        for column, value in words.items():
            setattr(issue, column, value)
        yield issue
        session.rollback()


def rendered(services: Services, **words: Any) -> list[checklist.Rendering]:
    with issue_of(services, **words) as issue:
        return checklist.render_each(issue, services.renderer, services.links)


def problems(services: Services, **words: Any) -> list[str]:
    with issue_of(services, **words) as issue:
        made = checklist.render_each(issue, services.renderer, services.links)
        found = checklist.find_problems(issue, made, services.links)
    return [each.words for each in found]


@on_sqlite
@pytest.mark.parametrize("text", HARMLESS_AS_SENT)
def test_what_a_lead_pastes_fetches_nothing_once_it_is_rendered(services, text):
    words = {"text": {"en": text, "es": text}, "subject": {"en": "A", "es": "B"}}
    assert problems(services, **words) == []
    assert [remote_content(each.rendered.html) for each in rendered(services, **words)] == [[], []]


@on_sqlite
@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_a_lead_reads_why_an_issue_is_not_sent(lead, worker, relay, text, said):
    for words in ({"text": text}, {"text_es": text, "subject_es": "Té", "text": "Come."}):
        page = begin(lead, SLUG)
        assert lead.send(page, **{"subject": "Tea", **words}).status_code == 303
        assert said in lead.open(f"{page}/release").text
        assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422
        act(lead, page, "test")
        assert "emailing you a test copy" not in lead.open(f"{page}/release").text
    worker.drain()
    assert relay.to(LEAD) == []


@on_sqlite
@pytest.mark.parametrize("when", [[], ["--at", "2099-07-01T09:00:00"]])
@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_the_command_line_queues_none_of_it(cli, tmp_path, services, when, text, said):
    file = tmp_path / "issue.md"
    file.write_text(text)
    sent = cli.invoke(args=["newsletter", "send", SLUG, str(file), "--subject", "Tea", *when])
    assert sent.exit_code == 1
    assert "Nothing was queued." in sent.stderr
    assert said in sent.stderr
    with services.reading.begin() as session:
        assert session.scalars(select(Newsletter)).all() == []


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(
    ("written", "reason", "said"),
    [
        (("Tea", REFUSED[0][0]), "something in it has to change first", REFUSED[0][1]),
        (("Pride tea", "Come."), "its subject or preview line names the group", "“pride”"),
    ],
)
def test_what_was_scheduled_without_the_gate_is_held_and_its_lead_reads_why(
    lead, services, worker, relay, cli,
    written, reason, said
):  # fmt: skip
    """An intruder who writes rows can schedule anything."""
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), *written)
        issue.due_at = now()
        public_id = issue.public_id
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    told = relay.to(LEAD)[-1]
    assert told["Subject"] == "Your newsletter wasn’t sent. What would you like to do?"
    assert reason in text_of(told)
    page = lead.open(f"/lead/newsletters/{public_id}/sending").text
    assert f"Not sent: {reason}" in page
    assert said in page
    assert "Send now or later" not in page
    released = cli.invoke(args=["newsletter", "release", public_id])
    assert released.exit_code == 1
    assert said in released.stderr
    with services.reading.begin() as session:
        assert session.scalars(select(Newsletter.due_at)).all() == [None]
    act(lead, f"/lead/newsletters/{public_id}", "undo")
    fields = {"subject": "Potluck", "text": "Come."}
    assert lead.send(f"/lead/newsletters/{public_id}", **fields).status_code == 303
    release = f"/lead/newsletters/{public_id}/release"
    assert lead.send(release, when="now", minutes="1").status_code == 303


@pytest.mark.usefixtures("members")
def test_what_was_queued_without_the_gate_is_paused_before_a_copy_leaves(
    lead, services, worker, relay
):
    with services.writing.begin() as session:
        public_id = queue_issue(session, SLUG, text=REFUSED[0][0]).public_id
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    page = lead.open(f"/lead/newsletters/{public_id}/sending").text
    assert REFUSED[0][1] in page
    assert "Resume" not in page
    act(lead, f"/lead/newsletters/{public_id}", "resume")
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []


@pytest.mark.usefixtures("members")
def test_bytes_that_were_made_without_the_gate_do_not_leave(services, keyring, worker, relay):
    """The gate reads what leaves, not what it was made of."""
    with services.writing.begin() as session:
        queue_issue(session, SLUG, subject="Tea")
    relay.script("RCPT", *["451 4.3.0 Later"] * 3)
    worker.drain()
    with services.writing.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        for frozen in session.scalars(select(RenderedIssue)):
            row = issue_mailer.issue_row(issue, frozen.language)
            made = keyring.opener.unwrap(frozen.wire, issue_mailer.TEMPLATE_COLUMN, row)
            bad = made.replace(b"Subject: Tea", b"Subject: LGBT")
            assert bad != made
            frozen.wire = keyring.opener.wrap(bad, issue_mailer.TEMPLATE_COLUMN, row)
    newer = make_worker(services, keyring)
    with time_machine.travel(now() + timedelta(hours=1), tick=True):
        for _ in range(3):
            newer.drain()
    newer.engine.close()
    assert relay.accepted == []
    with services.reading.begin() as session:
        assert session.scalars(select(Newsletter.paused_at)).one() is not None


@on_sqlite
@pytest.mark.parametrize("language", i18n.NAMES)
@pytest.mark.parametrize(
    "told",
    [
        "LGBT%51", "L\u200bG\u200cB\u200dT", "ＬＧＢＴＱ", "Pr\u00adide",
        "%50ride", "P r i d e", "Orgullo", "diversidad sexual", "𝓟𝓻𝓲𝓭𝓮",
        "=?utf-8?b?TEdCVFE=?=", "{group}", "re: l.g.b.t", "🏳️\u200d🌈", "arcoíris",
    ],
)  # fmt: skip
def test_no_disguise_brings_a_name_into_a_header(services, told, language):
    words = {"en": "Tea", language: told}
    texts = dict.fromkeys(words, "Come.")
    for column in ("subject", "preheader"):
        shown = {"subject": dict.fromkeys(words, "Tea"), "text": texts, column: words}
        assert {checklist.TELLS, checklist.GATE[Rule.HEADER]} & set(problems(services, **shown))


@on_sqlite
def test_a_reply_address_or_a_flyer_that_names_the_group_goes_through_no_door(
    services, keyring, worker, caplog
):
    mailer = worker._mailer
    with services.writing.begin() as session:
        group = group_named(session, SLUG)
        issue = newsletters.draft(session, group, "Tea", "Come.")
        assert issue_mailer.is_fit(mailer, issue)
        flyer = Flyer(title="LGBTQ+ flyer", content=b"%PDF-", size=5, pages=1, is_tagged=True)
        issue.flyers = [flyer]
        assert not issue_mailer.is_fit(mailer, issue)
        assert "is held: something in it has to change first." in caplog.text
        assert "LGBTQ" not in caplog.text
        flyer.title = "%4CGBTQ flyer"
        assert not issue_mailer.is_fit(mailer, issue)
        flyer.title = "Tea"
        assert issue_mailer.is_fit(mailer, issue)
        mailbox.wrap_mailbox(keyring.opener, group, "group6@dpsk12.org")
        assert issue_mailer.is_fit(mailer, issue)
        session.rollback()


@pytest.mark.usefixtures("members")
def test_two_copies_differ_in_links_and_greeting_alone(services, worker, relay):
    with services.writing.begin() as session:
        queue_issue(session, SLUG, subject="Tea, {first_name}", text="Dear {first_name}, come.")
    worker.drain()
    one, other = (relay.to(f"member{each}@dpsk12.org")[0] for each in (1, 2))
    own = {"To", "Message-ID", "List-Unsubscribe"}
    assert {name for name in one if one[name] != other[name]} == own
    [leave], [other_leave] = (
        [each for each in links_in(mail) if "/leave/" in each] for mail in (one, other)
    )
    assert leave != other_leave
    for part in (text_of, html_of):
        assert part(one).replace(leave, other_leave) == part(other)
