"""Conditions for the end: every copy, the report, every join, and what the webs answered."""

import http.client
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.delivery.models import Delivery
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import ADDRESS_COLUMN, row_of
from belong_mail.newsletters.models import Newsletter
from tests.scale.fleet import GROUP, Fleet
from tests.scale.visitors import SILENT, Answer, Crowd

# Seconds in which a page answers whatever happens, and those after a trouble until all is well.
ANSWER_SECONDS, RECOVERY_SECONDS = 12.0, 15.0
KIND = "We can’t do this right now"
FINE = {http.client.OK, http.client.SEE_OTHER}


@dataclass
class Troubles:
    """From when until when a web was away, and the database was."""

    of: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, name: str, start: float, end: float) -> None:
        self.of.setdefault(name, []).append((start, end))

    def explain(self, answer: Answer, *names: str) -> bool:
        """Tell whether one of these was away when somebody asked, or just before."""
        ended = answer.at + answer.seconds
        return any(
            start <= ended and answer.at <= end + RECOVERY_SECONDS
            for name in names
            for start, end in self.of.get(name, ())
        )


def deliveries(fleet: Fleet, issue: str) -> dict[str, tuple[str, int]]:
    """Return state and number of second copies of each of an issue's recipients."""
    keyring = fleet.keyring
    found = (
        select(
            Subscription.public_id, Group.public_id, Subscription.wrapped_address, Delivery.state,
            Delivery.resent,
        )
        .join(Delivery, Delivery.subscription_id == Subscription.id)
        .join(Group, Group.id == Subscription.group_id)
        .join(Newsletter, Newsletter.id == Delivery.newsletter_id)
        .where(Newsletter.public_id == issue)
    )  # fmt: skip
    of: dict[str, tuple[str, int]] = {}
    with Session(fleet.engine) as session:
        for member, group, wrapped, state, resent in session.execute(found):
            assert wrapped is not None
            address = keyring.opener.unwrap(wrapped, ADDRESS_COLUMN, row_of(member, group))
            of[address.decode()] = str(state), resent
    return of


def copies_faults(fleet: Fleet, issue: str, members: int) -> list[str]:
    """Compare what the relay took with what each delivery says, one by one, and with the report."""
    told, copies = deliveries(fleet, issue), list(fleet.relay.accepted)
    number = Counter(copy.recipient for copy in copies)
    wrong = [] if len(told) == members else [f"{len(told)} deliveries for {members} members."]
    messages: dict[str, set[bytes]] = {}
    for copy in copies:
        messages.setdefault(copy.recipient, set()).add(copy.data)
    for recipient, (state, resent) in told.items():
        got = number[recipient]
        if state != "accepted" or not 1 <= got <= 1 + resent or len(messages[recipient]) != 1:
            wrong.append(f"{got} copies to one who is {state}, resent {resent}.")
    report = fleet.report(issue)
    extra = sum(number[each] - 1 for each in told)
    resent = sum(each for _, each in told.values())
    fleet.tell(f"report: { {name: count for name, count in report.items() if count} }; ledger:"
               f" {sum(number[each] for each in told)} copies, {extra} second ones")  # fmt: skip
    expected = {"recipients": members, "accepted": members, "resent": resent}
    if (said := {name: count for name, count in report.items() if count}) != {
        name: count for name, count in expected.items() if count
    }:
        wrong.append(f"The report says {said}, not {expected}.")
    return wrong[:20]


def stuck(fleet: Fleet) -> list[str]:
    """Say what waits, is held by nobody, or cannot be read."""
    looks = {
        "chunks": "SELECT count(*) FROM chunks WHERE inserted IS NULL",
        "jobs": "SELECT count(*) FROM jobs",
        "waiting": "SELECT count(*) FROM deliveries WHERE state IN"
        " ('queued', 'sending', 'deferred', 'uncertain')",
        "held hosts": "SELECT count(*) FROM hosts WHERE held_because IS NOT NULL",
        "claims": "SELECT count(*) FROM deliveries WHERE claimed_by IS NOT NULL",
        "dead leases": "SELECT count(*) FROM leases WHERE until < now()",
    }
    found = {name: fleet.count(statement) for name, statement in looks.items()}
    return [f"{number} {name} are stuck." for name, number in found.items() if number]


def joins_faults(fleet: Fleet, crowd: Crowd) -> list[str]:
    """Say whose join was promised and is not there."""
    keyring = fleet.keyring
    [(group,)] = fleet.rows("SELECT public_id FROM groups WHERE slug = :slug", slug=GROUP)
    active = Subscription.confirmed_at.is_not(None), Subscription.is_active
    with Session(fleet.engine) as session:
        there = set(session.scalars(select(Subscription.address_index).where(*active)))
    missing = [
        each for each in crowd.promised if keyring.index.member(str(group), each) not in there
    ]
    unconfirmed = set(crowd.promised) - crowd.confirmed
    return [
        f"{len(found)} of {len(crowd.promised)} who were answered {what}."
        for found, what in ((missing, "are no members"), (unconfirmed, "could not confirm"))
        if found
    ]


def answers_faults(crowd: Crowd, troubles: Troubles) -> list[str]:
    """Say which answers nothing explains, and which are not as kind as they must be."""
    wrong = []
    for each in (*crowd.seen, *crowd.looks):
        what = f"{each.web} answered {each.status} after {each.seconds:.1f} s at {each.at:.1f}"
        is_away = troubles.explain(each, each.web)
        if each.status == SILENT and not is_away:
            wrong.append(f"{what}, and was there.")
        elif each.status not in {*FINE, SILENT} and not troubles.explain(
            each, each.web, "database"
        ):
            wrong.append(f"{what}, and nothing was wrong.")
        elif each.status not in {*FINE, SILENT, http.client.SERVICE_UNAVAILABLE}:
            wrong.append(f"{what}, which is no answer for people.")
        elif each.seconds > ANSWER_SECONDS and each.status != SILENT:
            wrong.append(f"{what}, too late.")
    wrong += [
        f"{each.web} answered 503 without a kind page."
        for each in crowd.seen
        if each.status == http.client.SERVICE_UNAVAILABLE and not is_kind(each)
    ]
    return wrong[:20]


def is_kind(answer: Answer) -> bool:
    """Tell whether a page that cannot be had says so, and when to come back."""
    again = answer.headers["Retry-After"] if answer.headers is not None else None
    return KIND in answer.body and bool(again)
