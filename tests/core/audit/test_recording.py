"""Acts of leads, the office and operators are recorded with their actor, or not done."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import request as asked
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

import belong_mail
from belong_mail.accounts import invitations, signing_in
from belong_mail.accounts.models import Account, BrowserSession
from belong_mail.core import audit
from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.core.db import now
from belong_mail.groups.models import Group, Question
from belong_mail.newsletters.models import Newsletter
from belong_mail.web.access import for_accounts
from belong_mail.web.context import transaction
from tests.browser_client import Visitor, link_to
from tests.contact.writing import write as write_to_the_office
from tests.db_dump import dump_of, trail
from tests.factories import group_named, make_members, plan_meeting
from tests.newsletters.writing import act, begin, write

VILLAGE = "/lead/groups/the-village"
LEAD = "lead-of-the-village@dpsk12.org"
# Pages that change something, and have a reason not to record it: whoever adds one means it.
UNRECORDED = {
    "belong_mail/accounts/views.py": 1,
    "belong_mail/newsletters/editor_views.py": 5,
    "belong_mail/office/group_views.py": 1,
}

REASON = re.compile(r"^@unrecorded\(|transaction\(unrecorded=", re.MULTILINE)


def kinds(services) -> list[str]:
    """List what the trail says was done, in order, and who signed in left out."""
    return [each.kind for each in trail(services) if each.kind != Kind.SIGNED_IN]


def newest(services) -> AuditEntry:
    return trail(services)[-1]


def the(services, model: Any) -> Any:
    with services.reading.begin() as session:
        return session.scalars(select(model).order_by(model.id.desc()).limit(1)).one()


def pressed(lead, url: str, **fields: str) -> int:
    return lead.act(url, **fields).status_code


def test_each_step_of_a_newsletter_is_recorded_in_turn(lead, services, keyring, worker):
    with services.writing.begin() as session:
        make_members(session, keyring, 12)
    page = write(lead)
    lead.send(page, text="Come to **tea** at four.")
    act(lead, page, "test")
    assert lead.send(f"{page}/release", when="10").status_code == 303
    act(lead, page, "undo")
    lead.send(f"{page}/release", when="1")
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        worker.step()
        for verb in ("pause", "resume", "stop"):
            act(lead, page, verb)
        act(lead, begin(lead), "delete")
    assert kinds(services) == [
        Kind.WRITTEN, Kind.TEST_SENT, Kind.RELEASED, Kind.UNDONE, Kind.RELEASED, Kind.PAUSED,
        Kind.RESUMED, Kind.STOPPED, Kind.DRAFT_DELETED,
    ]  # fmt: skip
    issue, account = the(services, Newsletter), the(services, Account)
    with services.reading.begin() as session:
        found = select(AuditEntry).where(AuditEntry.newsletter == issue.public_id)
        entries = session.scalars(found).all()
    assert len(entries) == 8
    assert {(each.role, each.actor, each.group_slug) for each in entries} == {
        ("account", account.public_id, "the-village")
    }
    browser = the(services, BrowserSession)
    assert {each.browser_session for each in entries} == {browser.public_id}


MEETING = {
    "title_en": "Tea", "title_es": "Té", "starts_on": "2030-12-10", "starts_at": "16:00",
    "ends_at": "17:00", "repeats": "once", "place": "Room 4", "is_open": "anyone",
    "spoken": "both",
}  # fmt: skip


def test_each_change_to_a_group_is_recorded(lead, services):
    page = f"{VILLAGE}/page"
    for path, typed in (
        (page, {"summary_en": "Tea for all"}),
        (page, {"mailbox": "village@dpsk12.org"}),
        (page, {"without_mailbox": "y"}),
        (f"{VILLAGE}/meetings/new", MEETING),
    ):
        assert lead.forge(path, **typed).status_code == 303
    assert kinds(services) == [
        Kind.PAGE_CHANGED, Kind.MAILBOX_PROPOSED, Kind.MAILBOX_REMOVED, Kind.MEETING_ADDED,
    ]  # fmt: skip
    assert [each.group_slug for each in trail(services)][1:] == ["the-village"] * 4
    assert lead.send(page, undo="1").status_code == 303
    assert newest(services).detail == "undo"


def test_question_that_is_added_and_removed_is_recorded(office, services):
    asked = {"kind": "text", "label_en": "Which tea?", "label_es": "¿Qué té?"}
    page = "/office/groups/the-village/questions"
    assert office.send(page, **asked).status_code == 303
    number = newest(services).detail
    assert newest(services).kind == Kind.QUESTION_ADDED
    assert pressed(office, f"{page}/{number}/remove") == 303
    assert (newest(services).kind, newest(services).detail) == (Kind.QUESTION_REMOVED, number)


def test_each_step_of_a_meeting_is_recorded(lead, services):
    with services.writing.begin() as session:
        meeting = plan_meeting(session, repeats="weekly")
    page = f"/lead/meetings/{meeting.public_id}"
    day = f"{page}/{meeting.starts_on}"
    assert lead.send(page, place="Room 9").status_code == 303
    assert lead.send(day, place="Room 8").status_code == 303
    for verb in ("cancel", "restore"):
        assert pressed(lead, f"{day}/{verb}") == 303
    assert pressed(lead, f"{page}/cancel") == 303
    assert kinds(services) == [
        Kind.MEETING_ADDED, Kind.MEETING_CHANGED, Kind.MEETING_DAY_CHANGED,
        Kind.MEETING_DAY_CANCELLED, Kind.MEETING_DAY_RESTORED, Kind.MEETING_CANCELLED,
    ]  # fmt: skip
    assert newest(services).detail == meeting.public_id


def test_acts_of_the_office_are_recorded_without_their_words(office, visitor, services, worker):
    write_to_the_office(visitor)
    worker.drain()
    reference = re.findall(r"/office/threads/([\w-]+)", office.open("/office").text)[0]
    page = f"/office/threads/{reference}"
    assert office.send(page, answer="At the east door.").status_code == 303
    entry = newest(services)
    assert (entry.kind, entry.detail, entry.group_slug) == (Kind.THREAD_ANSWERED, None, None)
    assert office.send("/office/groups/asian", audience_en="All").status_code == 303
    assert (newest(services).kind, newest(services).group_slug) == (Kind.GROUP_CHANGED, "asian")


@pytest.mark.parametrize(
    ("said", "kind"),
    [({}, Kind.SIGNED_OUT), ({"everywhere": "1"}, Kind.SESSIONS_ENDED)],
)
def test_signing_out_is_recorded_once(lead, services, said, kind):
    assert pressed(lead, "/sign-out", **said) == 303
    assert kinds(services) == [kind]
    assert newest(services).browser_session is not None


def test_each_refused_sign_in_is_recorded_once_an_hour(app, lead, services, keyring, worker, relay):
    gone = "gone@dpsk12.org"
    with services.writing.begin() as session:
        group = group_named(session, "asian")
        invitations.invite(session, keyring, group, gone)
        assert invitations.remove(session, keyring.index, group, gone)
    other = Visitor(app.test_client())
    for _ in range(2):
        for address in ("nobody@dpsk12.org", gone):
            other.send("/sign-in", email=address)
    lead.send("/sign-in", email=LEAD)
    worker.drain()
    link = link_to(relay.to(LEAD)[-1], "sign-in")
    for _ in range(2):
        assert Visitor(app.test_client()).press(link).status_code == 403
    for _ in range(9):
        other.send("/sign-in", email=LEAD)
    worker.drain()
    with services.reading.begin() as session:
        found = select(AuditEntry).where(AuditEntry.kind == Kind.SIGN_IN_REFUSED)
        refused = {each.detail: each.account for each in session.scalars(found)}
        number = session.scalar(select(func.count()).select_from(found.subquery()))
        rows = session.execute(select(Account.id, Account.public_id))
        names = {row.id: row.public_id for row in rows}
    assert number == 4
    first, second = names[min(names)], names[max(names)]
    assert refused == {
        "no-account": None, "no-right": second, "other-browser": first, "too-often": first,
    }  # fmt: skip
    with services.writing.begin() as session:
        for account in session.scalars(select(Account).order_by(Account.id)).all():
            for why in ("other-browser", "has-passkey"):
                signing_in.record_refusal(session, account, why)
    apart = [(each.account, each.detail) for each in trail(services, Kind.SIGN_IN_REFUSED)[4:]]
    assert apart == [(first, "has-passkey"), (second, "other-browser"), (second, "has-passkey")]


@pytest.mark.parametrize(
    ("what", "where", "recorded"),
    [
        ("lead", ["--group", "asian"], "LEAD_INVITED LEAD_ACCEPTED LEAD_REMOVED"),
        ("office", [], "OFFICE_INVITED OFFICE_ACCEPTED OFFICE_REMOVED"),
    ],
)
def test_invitation_acceptance_and_removal_are_recorded(
    visitor, services, worker, relay, cli, what, where, recorded
):
    invited = "new@dpsk12.org"
    assert cli.invoke(args=[what, "invite", invited, *where]).exit_code == 0
    assert (newest(services).role, newest(services).actor) == ("operator", None)
    worker.drain()
    link = link_to(relay.to(invited)[-1], "invitation")
    for _ in range(2):
        visitor.press(link)
    account = the(services, Account).public_id
    assert (newest(services).role, newest(services).actor) == ("account", account)
    assert cli.invoke(args=[what, "remove", invited, *where]).exit_code == 0
    assert cli.invoke(args=[what, "remove", invited, *where]).exit_code == 1
    assert kinds(services) == [Kind[each] for each in recorded.split()]
    assert newest(services).account == account


def test_commands_are_recorded_as_the_operators(services, cli, tmp_path):
    (tmp_path / "june.md").write_text("Come to tea.")
    for command, kind in (
        (["group", "add", "first-gen", "First Generation", "--upcoming"], Kind.GROUP_ADDED),
        (["group", "launch", "autoimmune"], Kind.GROUP_LAUNCHED),
        (
            ["newsletter", "send", "asian", f"{tmp_path}/june.md", "--subject", "June"],
            Kind.RELEASED,
        ),
        (["group", "retire", "asian"], Kind.GROUP_RETIRED),
    ):
        result = cli.invoke(args=command)
        assert result.exit_code == 0, result.output
        entry = newest(services)
        assert (entry.kind, entry.role, entry.actor) == (kind, "operator", None)
        if kind == Kind.RELEASED:
            assert entry.newsletter == the(services, Newsletter).public_id
    assert len(trail(services)) == 4


@pytest.mark.parametrize("program", ["belong", "python -m belong_mail.ops.cli", "/opt/é/belong"])
def test_any_other_command_that_changes_something_is_recorded_by_its_name(services, cli, program):
    assert cli.invoke(args=["hold", "status"]).exit_code == 0
    assert kinds(services) == [], "it only looks"
    assert cli.invoke(args=["hold", "begin"], prog_name=program).exit_code == 0
    entry = newest(services)
    assert (entry.kind, entry.role, entry.detail) == ("command run", "operator", "hold-begin")
    assert cli.invoke(args=["hold", "release"]).exit_code == 0
    assert (newest(services).kind, newest(services).role) == (Kind.HOLD_RELEASED, "operator")


CHANGES: dict[str, Callable[[Session], object]] = {
    "an object": lambda session: setattr(group_named(session, "asian"), "note", {"en": "Changed"}),
    "a statement": lambda session: session.execute(update(Group).values(note={"en": "Changed"})),
    "an object that goes": lambda session: session.delete(session.scalar(select(Question))),
    "a deletion": lambda session: session.execute(delete(Question)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_page_that_records_nothing_changes_nothing(app, services, request, change):
    def view() -> str:
        with transaction() as session:
            if "recorded" in asked.form:
                audit.record(session, Kind.PAGE_CHANGED, group=group_named(session, "asian"))
            change(session)
        return "done"

    app.add_url_rule("/lead/new", "new", for_accounts(view), methods=["POST"])
    lead: Visitor = request.getfixturevalue("lead")
    before = standing(services)
    assert (pressed(lead, "/lead/new"), standing(services)) == (500, before)
    assert pressed(lead, "/lead/new", recorded="y") == 200
    assert standing(services) != before


def standing(services) -> list[object]:
    return [dump_of(services)[table] for table in ("groups", "questions")]


def test_reasons_for_recording_nothing_are_few():
    root = Path(belong_mail.__file__).parents[1]
    found = {
        str(file.relative_to(root)): number
        for file in root.glob("belong_mail/**/*.py")
        if (number := len(REASON.findall(file.read_text())))
    }
    assert found == UNRECORDED
