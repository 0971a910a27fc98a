"""`belong explain`: what was sent to an address, its limits, its mark; alike for members."""

import re
from datetime import timedelta
from typing import Any

import time_machine
from sqlalchemy import select

from belong_mail.core.audit import AuditEntry
from belong_mail.core.db import now
from belong_mail.core.rate_limits import remaining
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery
from belong_mail.groups.models import Group
from belong_mail.ops.explain import ACTS, LEFT_OUT
from tests.browser_client import text_of
from tests.counting import statements_of
from tests.factories import make_member
from tests.scenario import ADA, SOON, VILLAGE

MEMBER, STRANGER = "grace@dpsk12.org", "nobody@dpsk12.org"
OFFICE = "dps-belong@example.org"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d|(?<=due )\d\d:\d\d")


def explained(cli: Any, address: str) -> str:
    result = cli.invoke(args=["explain"], input=f"{address}\n")
    assert result.exit_code == 0, result.output
    return str(result.output)


def become_member(scenario, address: str) -> None:
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, address, VILLAGE)


def act(scenario, address: str) -> None:
    scenario.visitor.join(VILLAGE, address)
    for path in ("/my-groups", "/sign-in"):
        scenario.visitor.send(path, email=address)
    typed = {"topic": "join", "message": "Hello", "email": address}
    assert scenario.visitor.send("/contact", **typed).status_code == 303


def test_members_and_others_who_do_the_same_are_answered_in_the_same_words(scenario, cli):
    become_member(scenario, MEMBER)
    begun = now()
    for hours in (0, 0.1, 0.3, 14, 25, 26):
        with time_machine.travel(begun + timedelta(hours=hours)):
            for address in (MEMBER, STRANGER):
                act(scenario, address)
            scenario.worker.drain()
            [member, stranger] = [
                TIME.sub("AT", explained(cli, each)) for each in (MEMBER, STRANGER)
            ]
            assert member == stranger
            assert member.count("accepted 250") >= (2 if hours else 3)
    assert len(scenario.relay.to(MEMBER)) == len(scenario.relay.to(STRANGER))


def test_a_group_that_starts_tells_no_member_from_others(scenario, cli):
    """A note may be anyone's; the email that answers a member's is of another kind."""
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, MEMBER, SOON)
    for address in (MEMBER, STRANGER):
        scenario.wait_for(address)
    scenario.launch()
    [member, stranger] = [TIME.sub("AT", explained(cli, each)) for each in (MEMBER, STRANGER)]
    assert member == stranger
    assert member.count("accepted 250") == 1


def test_the_same_is_read_for_members_and_others(scenario, cli):
    become_member(scenario, MEMBER)
    for each in range(5):
        act(scenario, f"colleague{each}@dpsk12.org")
    scenario.worker.drain()
    asked = []
    for address in (STRANGER, MEMBER):
        with statements_of(scenario.engine) as statements:
            explained(cli, address)
        asked.append(statements)
    assert asked[0] == asked[1]


def test_it_names_no_group_and_no_address_and_says_what_it_leaves_out(scenario, cli):
    """The trail and the inbox hear that it was asked."""
    scenario.enter(MEMBER)
    said = explained(cli, MEMBER.upper())
    with scenario.services.reading.begin() as session:
        for name, slug in session.execute(select(Group.name, Group.slug)):
            assert name not in said
            assert slug not in said
    assert MEMBER not in said
    assert said.count("accepted 250") == 1  # the confirmation, and no welcome
    assert LEFT_OUT in said
    [told] = scenario.mails(OFFICE)
    assert "belong explain" in text_of(told)
    assert MEMBER not in str(told)
    with scenario.services.reading.begin() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert (entry.kind, entry.role, entry.detail) == ("command run", "operator", "explain")


def test_the_relays_answer_and_the_next_try_are_said(scenario, cli):
    scenario.relay.script(f"RCPT {ADA}", "450 4.2.2 Mailbox full")
    scenario.visitor.join(VILLAGE, ADA)
    scenario.worker.drain()
    with scenario.services.reading.begin() as session:
        [at] = session.scalars(select(Delivery.created_at))
    at = at.astimezone(scenario.services.settings.timezone)
    words = rf"{at:%Y-%m-%d %H:%M} deferred 450 4\.2\.2 .*; due \d\d:\d\d"
    assert re.search(words, explained(cli, ADA))


def test_the_limits_are_those_that_the_worker_counts_and_the_mark_has_its_day(scenario, cli):
    assert "Never email: no." in explained(cli, ADA)
    scenario.invite_lead(ADA)
    act(scenario, ADA)
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        suppressions.suppress(session, scenario.keyring.index, ADA)
    scenario.visitor.send("/my-groups", email=ADA)
    scenario.worker.drain()
    limited = scenario.keyring.index.limited
    with scenario.services.reading.begin() as session:
        used = [
            remaining(session, limited(each.use, ADA), each.rate, now()) < each.rate.burst
            for each in ACTS
        ]
    assert used == [True] * len(ACTS)
    said = explained(cli, ADA)
    assert said.count("accepted 250") == len(ACTS)
    assert "Email me again: 1 at once, then one each 168 hours; used up now." in said
    assert f"Never email: yes, since {now().date()}." in said


def test_a_personal_address_is_not_told_apart_by_my_groups(scenario, cli):
    become_member(scenario, "grace@example.com")
    for address in ("grace@example.com", "nobody@example.com"):
        scenario.visitor.send("/my-groups", email=address)
    scenario.worker.drain()
    assert len(scenario.relay.to("grace@example.com")) == 1
    assert explained(cli, "grace@example.com") == explained(cli, "nobody@example.com")


def test_after_a_day_nothing_is_known_of_anyone(scenario, cli):
    act(scenario, STRANGER)
    scenario.worker.drain()
    with time_machine.travel(now() + timedelta(days=1, minutes=1)):
        assert "accepted" not in explained(cli, STRANGER)
