"""What the database, and whoever writes into it, cannot learn of who offered to help."""

import json
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import insert, select, text, update

from belong_mail.core import encryption
from belong_mail.core.db import Base, now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.delivery.models import Chunk, Delivery
from belong_mail.groups.models import GroupInterest
from belong_mail.members import ticks
from belong_mail.members.models import ManageSession, PendingConfirmation, Subscription
from belong_mail.newsletters import recipients
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter, RenderedIssue
from belong_mail.ops import key_rotation
from tests.browser_client import Visitor
from tests.conftest import KEYS
from tests.factories import group_named, interests_of
from tests.group_interests.charter import (
    BEN,
    CARMEN,
    CHARTER,
    EVENTS,
    SLUG,
    Helpers,
    release,
    write,
)
from tests.scenario import ADA

LATER = timedelta(minutes=2)
NEW = encryption.new_keys()
# Octets of a wrapped list, whatever stands in it.
LENGTH = 289


def member(scenario: Helpers, address: str) -> Subscription:
    found = scenario.subscription(address, SLUG)
    assert found is not None
    return found


def lists(scenario: Helpers) -> dict[int, bytes | None]:
    with scenario.services.reading.begin() as session:
        rows = session.execute(select(Subscription.id, Subscription.wrapped_ticks))
        return {row.id: row.wrapped_ticks for row in rows}


def test_the_database_tells_of_nobody_what_or_whether_they_ticked(scenario: Helpers) -> None:
    with scenario.services.reading.begin() as session:
        known = interests_of(session, SLUG)
    scenario.joined(ADA, *known)
    scenario.joined(BEN)
    scenario.made(CARMEN, CHARTER)
    scenario.visitor.join(SLUG, "dinh@dpsk12.org", interests=list(known.values()))
    scenario.visitor.join(SLUG, "esther@dpsk12.org")
    scenario.worker.drain()
    scenario.change(scenario.link(CARMEN), CARMEN, EVENTS)
    with scenario.services.reading.begin() as session:
        for table in Base.metadata.tables:
            if table != "group_interests":
                rows = session.execute(text(f"SELECT * FROM {table}")).all()  # noqa: S608 - ours
                said = repr(rows)
                assert not [each for each in known.values() if each in said], table
        waiting = session.scalars(select(PendingConfirmation.wrapped_ticks)).all()
    assert {len(each or b"") for each in lists(scenario).values()} == {LENGTH}
    assert {len(each) for each in waiting if each} == {LENGTH}
    assert sum(each is not None for each in waiting) == 2


def test_a_link_to_ones_groups_tells_by_its_length_nothing_of_what_was_ticked(
    scenario: Helpers,
) -> None:
    with scenario.services.reading.begin() as session:
        labels = list(interests_of(session, SLUG))
    scenario.made(ADA)
    scenario.made(BEN, *labels)
    for address in (ADA, BEN):
        scenario.change(scenario.link(address), address, *(labels if address == ADA else ()))
    with scenario.services.reading.begin() as session:
        sheets = session.scalars(select(ManageSession)).all()
    assert len(sheets) == 2
    assert len({(len(each.locked), len(each.ticks or b"")) for each in sheets}) == 1


def test_who_compares_copies_does_not_see_who_had_ticked_what_was_retired(
    scenario: Helpers,
) -> None:
    for address, labels in ((ADA, (CHARTER,)), (BEN, ()), (CARMEN, (EVENTS,))):
        scenario.made(address, *labels)
    before = lists(scenario)
    scenario.retire(CHARTER)
    scenario.minute()
    after = lists(scenario)
    assert all(before[number] != after[number] for number in before)


def test_a_list_opens_in_its_own_row_and_group_alone(scenario: Helpers) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN)
    scenario.made(ADA, slug="the-village")
    ada, ben = member(scenario, ADA), member(scenario, BEN)
    with scenario.services.reading.begin() as session:
        here = group_named(session, SLUG).public_id
        there = group_named(session, "the-village").public_id
    opener = scenario.keyring.opener
    assert ticks.open_ticks(opener, ada.wrapped_ticks, ada.public_id, here)
    for public_id, group in ((ben.public_id, here), (ada.public_id, there)):
        with pytest.raises(DecryptionError):
            ticks.open_ticks(opener, ada.wrapped_ticks, public_id, group)
    sealed = scenario.services.sealer.seal(
        json.dumps([scenario.interest(CHARTER)]).encode(), ticks.TICKS_COLUMN
    )
    with pytest.raises(DecryptionError):
        ticks.open_ticks(opener, sealed, ada.public_id, here)


def exchange(scenario: Helpers) -> None:
    """Put Ada's list, with a tick, into Ben's row, and Ben's into Ada's."""
    ada, ben = member(scenario, ADA), member(scenario, BEN)
    with scenario.services.writing.begin() as session:
        for one, other in ((ada, ben), (ben, ada)):
            swapped = update(Subscription).where(Subscription.id == one.id)
            session.execute(swapped.values(wrapped_ticks=other.wrapped_ticks))


@pytest.mark.parametrize("is_queued", [False, True])
def test_lists_that_are_exchanged_bring_a_newsletter_to_nobody(
    scenario: Helpers, lead: Visitor, *, is_queued: bool
) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        if is_queued:
            with scenario.services.writing.begin() as session:
                newsletters.queue_due(session, scenario.worker._choose)
        exchange(scenario)
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN)] == [0, 0]


def test_a_list_of_another_row_is_shown_to_nobody_and_counted_nowhere(scenario: Helpers) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN)
    exchange(scenario)
    assert scenario.shown(scenario.link(BEN), BEN) == set()
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        ticks.count_ticks(session, scenario.keyring.opener, group)
        found = session.scalars(select(GroupInterest).where(GroupInterest.group_id == group.id))
        assert {each.members_shown for each in found} == {0}


def queued(scenario: Helpers, lead: Visitor, label: str = CHARTER) -> int:
    """Release an issue and let the worker choose who gets it, but nothing leave."""
    page = write(lead)
    release(lead, page, scenario.interest(label))
    with (
        time_machine.travel(now() + LATER, tick=True),
        scenario.services.writing.begin() as session,
    ):
        [issue] = newsletters.queue_due(session, scenario.worker._choose)
        return issue.id


def test_a_copy_for_somebody_who_has_not_ticked_does_not_leave(
    scenario: Helpers, lead: Visitor
) -> None:
    """Whoever writes into a SQLite file adds a copy, or a stretch of all members."""
    scenario.made(ADA, CHARTER)
    scenario.made(BEN)
    scenario.made(CARMEN, EVENTS)
    issue = queued(scenario, lead)
    copy = {"kind": "newsletter", "newsletter_id": issue, "state": "queued"}
    with scenario.services.writing.begin() as session:
        copy["subscription_id"] = member(scenario, BEN).id
        session.execute(insert(Delivery), [copy])
        low = member(scenario, CARMEN).id
        session.add(Chunk(newsletter_id=issue, low=low, high=low + 9, planned=1))
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN, CARMEN)] == [1, 0, 0]


@pytest.mark.parametrize("other", [None, EVENTS])
def test_who_gets_an_issue_cannot_be_changed_once_it_is_written(
    scenario: Helpers, lead: Visitor, other: str | None
) -> None:
    """Its bytes are wrapped for the interest: with another they do not open."""
    scenario.made(ADA, CHARTER, EVENTS)
    scenario.made(BEN, EVENTS)
    issue = queued(scenario, lead)
    with scenario.services.writing.begin() as session:
        scenario.worker._issue_mailer.prepare(session, issue)
        assert session.scalars(select(RenderedIssue)).all()
        copy = {"kind": "newsletter", "newsletter_id": issue, "state": "queued"}
        session.execute(insert(Delivery), [{**copy, "subscription_id": member(scenario, BEN).id}])
        found = select(GroupInterest.id).where(
            GroupInterest.public_id == (scenario.interest(other) if other else "")
        )
        changed = update(Newsletter).where(Newsletter.id == issue)
        session.execute(changed.values(interest_id=session.scalar(found)))
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN)] == [0, 0]


def test_who_got_an_issue_to_an_interest_is_forgotten_after_a_week(
    scenario: Helpers, lead: Visitor
) -> None:
    for address in (ADA, BEN):
        scenario.made(address, CHARTER)
    queued(scenario, lead)
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        waiting = session.scalars(select(Delivery).where(Delivery.newsletter_id.is_not(None)))
        first = next(iter(waiting))
        first.state, first.finished_at, first.due_at = "deferred", None, now() + timedelta(days=9)

    def named(days: int) -> int:
        with scenario.services.writing.begin() as session:
            recipients.forget_readers(session, now() + timedelta(days=days))
        with scenario.services.reading.begin() as session:
            copies = select(Delivery.subscription_id).where(Delivery.newsletter_id.is_not(None))
            return sum(each is not None for each in session.scalars(copies))

    assert [named(6), named(8)] == [2, 1]
    with scenario.services.writing.begin() as session:
        changed = update(Delivery).where(Delivery.state == "deferred")
        session.execute(changed.values(state="accepted", finished_at=now(), due_at=None))
    assert [named(8), named(9)] == [0, 0]
    with scenario.services.reading.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        assert issue.readers_forgotten_at is not None
        assert newsletters.report(session, issue)["accepted"] == 2


def test_an_interest_of_another_group_brings_an_issue_to_nobody(
    scenario: Helpers, lead: Visitor
) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN, EVENTS, slug="the-village")
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    theirs = scenario.interest(EVENTS, "the-village")
    with scenario.services.writing.begin() as session:
        found = select(GroupInterest.id).where(GroupInterest.public_id == theirs)
        session.execute(update(Newsletter).values(interest_id=session.scalar(found)))
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN)] == [0, 0]


def test_interests_that_the_web_invents_do_not_make_a_list_longer(scenario: Helpers) -> None:
    """Not more of them than a group may have, nor names that are longer than ours."""
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        for number in range(9):
            name = f"{'x' * 200}{number}" if number < 3 else f"{number}" * 22
            session.add(GroupInterest(public_id=name, group_id=group.id, label={"en": "X"}))
        session.flush()
        session.expire(group)
        every = [each.public_id for each in group.interests]
    scenario.confirm_link(ADA, SLUG, interests=every)
    with scenario.services.reading.begin() as session:
        pending = session.scalars(select(PendingConfirmation)).one()
        assert len(pending.wrapped_ticks or b"") == LENGTH
        assert len(ticks.ticks_of(scenario.keyring, pending)) == 6


def test_a_new_key_wraps_lists_and_issues_anew(scenario: Helpers, lead: Visitor) -> None:
    scenario.made(ADA, CHARTER)
    scenario.confirm_link(BEN, SLUG, interests=[scenario.interest(CHARTER)])
    issue = queued(scenario, lead)
    both = Opener((KEYS["private"], NEW["private"]))
    with scenario.services.writing.begin() as session:
        scenario.worker._issue_mailer.prepare(session, issue)
    with scenario.services.writing.begin() as session:
        while key_rotation.rewrap(session, both):
            pass
    alone = Keyring(Opener((NEW["private"],)), scenario.keyring.index)
    with scenario.services.reading.begin() as session:
        left = key_rotation.rows_left(session, both)
        assert not [each for each in left if "ticks" in each or "frozen" in each]
        ada, ben = session.scalars(select(Subscription).order_by(Subscription.id))
        pending = session.scalars(select(PendingConfirmation)).one()
        found = [len(ticks.ticks_of(alone, each)) for each in (ada, ben, pending)]
    assert found == [1, 0, 1]
