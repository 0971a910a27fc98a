"""The books about an issue balance at every moment."""

from datetime import timedelta

import pytest
import time_machine

from belong_mail.core.db import now, required
from belong_mail.core.tokens import link_hash
from belong_mail.members import service as subscriptions
from belong_mail.members.jobs import NeverMail
from belong_mail.members.models import PendingConfirmation, Subscription
from belong_mail.members.proven import NEVER
from belong_mail.members.wrapped_fields import find_by_address
from tests.delivery.factories import books, let_grow_stale, queue
from tests.factories import group_named, make_member, queue_at_once
from tests.markers import on_both, one_connection


def the(session, keyring, address: str) -> Subscription:
    group = group_named(session, "the-village")
    found = find_by_address(session, keyring.index, group, address, Subscription)
    return required(found, LookupError)


@on_both("claims")
def test_the_books_balance_before_while_and_after(worker, relay, services):
    issue = queue(services, 45)
    assert books(services, issue) == {"recipients": 45, "queued": 45}
    while_sending: list[dict[str, int]] = []
    relay.on("DOT", lambda _: while_sending.append(books(services, issue)))
    relay.script("RCPT", "550 5.1.1 No such user", "550 5.2.2 Full", "450 4.2.1 Later")
    worker.drain()
    for each in while_sending:
        assert each.pop("recipients") == sum(each.values()) == 45
    assert while_sending[0]["sending"] >= 42, "but for the three that are refused at RCPT"
    assert books(services, issue) == {
        "recipients": 45, "deferred": 1, "accepted": 42, "bounced": 1, "failed": 1,
    }  # fmt: skip


@one_connection
def test_a_member_who_leaves_while_the_issue_goes_out_gets_nothing_more(
    worker, relay, services, keyring
):
    """A copy that was read ahead two seconds ago is checked again; one more may have been begun."""
    issue = queue(services, 5)
    staying = [f"member{number}@dpsk12.org" for number in range(5)]

    def dawdle(_command: str) -> None:
        if staying:
            with services.writing.begin() as session:
                while staying:
                    subscriptions.leave(session, the(session, keyring, staying.pop()).public_id)
            let_grow_stale(worker)

    relay.on("DOT", dawdle)
    worker.drain()
    left = len(relay.accepted)
    assert 1 <= left <= 2
    assert books(services, issue) == {"recipients": 5, "accepted": left, "withdrawn": 5 - left}


def test_an_issue_under_way_skips_a_member_who_asks_never_to_be_emailed_again(
    worker, relay, services, keyring
):
    issue = queue(services, 2)
    with services.writing.begin() as session:
        subscription = the(session, keyring, "member1@dpsk12.org")
        named = f"{subscription.public_id}/member1@dpsk12.org"
        asked = NeverMail(keyring.index.link_secret(NEVER, named))
        asked.ask(session, services.sealer, subscription_id=subscription.id)
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    balance = books(services, issue)
    assert balance.pop("recipients") == 2
    assert balance.pop("accepted") == 1
    assert sum(balance.values()) == 1


def test_an_early_sign_up_confirmed_after_the_issue_was_queued_is_not_in_it(
    worker, relay, services, keyring
):
    """Nor is who only asks, who comes later, or a member of another group."""
    with services.writing.begin() as session:
        make_member(session, keyring, "first@dpsk12.org")
        late = make_member(session, keyring, "late@dpsk12.org")
        make_member(session, keyring, "asked@dpsk12.org").confirmed_at = late.confirmed_at = None
        make_member(session, keyring, "other@dpsk12.org", "lgbtq")
        make_member(session, keyring, "last@dpsk12.org")
        issue = queue_at_once(worker, session).id
    with services.writing.begin() as session:
        session.get_one(Subscription, late.id).confirmed_at = now()
        make_member(session, keyring, "later@dpsk12.org")
    worker.drain()
    assert {each.recipient for each in relay.accepted} == {"first@dpsk12.org", "last@dpsk12.org"}
    assert books(services, issue) == {"recipients": 2, "accepted": 2}


@on_both("races")
@pytest.mark.parametrize("comes", ["confirms", "ends a pause"])
def test_a_member_who_confirms_or_resumes_during_queueing_is_counted_in_the_issue(
    worker, services, keyring, comes
):
    """The page's clock is late, or its transaction is open while the worker's looks."""
    with services.writing.begin() as session:
        _, late, _ = (make_member(session, keyring, f"{each}@dpsk12.org") for each in range(3))
        if comes == "confirms":
            late.confirmed_at = None
        else:
            late.paused_until = now() + timedelta(days=7)
        issue = queue_at_once(worker, session).id
        before = now() - timedelta(seconds=5)
    with services.writing.begin() as session, time_machine.travel(before, tick=False):
        if comes == "confirms":
            named = {"confirm_id": link_hash("secret"), "language": "en"}
            session.add(PendingConfirmation(subscription_id=late.id, **named))
            session.flush()
            subscriptions.confirm(session, services.sealer, "secret")
        else:
            subscriptions.resume(session.get_one(Subscription, late.id))
    assert books(services, issue) == {"recipients": 2, "queued": 2}
    worker.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
