"""A member gets a copy of what is held, or has all of it erased."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from belong_mail.contact.models import ContactMessage
from belong_mail.db import now
from belong_mail.memberships.models import AddressChange, Sheet
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import Parts
from belong_mail.retention import purge
from belong_mail.sending import claims, settling
from belong_mail.sending.models import Delivery, State
from belong_mail.subscriptions.models import Subscription, Wish
from belong_mail.worker import Worker
from tests.factories import queue_issue
from tests.people import Visitor, html_of, link_to, text_of
from tests.servers.smtp import Server

ADA, GRACE = "ada@dpsk12.org", "grace@dpsk12.org"
Path = Callable[..., str]
Join = Callable[..., list[str]]
Link = Callable[[str], str]


def counted(parts: Parts, table: type) -> int:
    with parts.reading.begin() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_copy_says_all_that_is_held_and_goes_to_the_member_alone(
    join: Join, link: Link, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    visitor.join("latinx-hispanic", ADA, first_name="Ada")
    worker.drain()
    visitor.press(link_to(relay.to(ADA)[0], "confirm"))
    worker.drain()
    visitor.join("asian", ADA)
    worker.drain()
    [village] = join(ADA, "the-village")
    join(GRACE, "lgbtq")
    path = link(ADA)
    day = str((now() + timedelta(9)).date())
    visitor.press(f"{path}/pause", **{"membership": village, f"{village}:until": day})
    answer = visitor.press(f"{path}/copy")
    assert "on its way" in visitor.open(answer.location).text
    worker.drain()
    words = text_of(relay.to(ADA)[-1])
    assert ADA in words
    assert "First name: Ada" in words
    assert "Language: English" in words
    assert "Pauses until" in words
    assert "Not confirmed yet" in words
    assert "The Village" in words
    assert "LGBTQ" not in words
    assert relay.to(GRACE) == []
    assert ADA in html_of(relay.to(ADA)[-1])


def test_the_copy_does_not_say_that_somebody_left_whose_mail_came_back(
    join: Join, link: Link, visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    join(ADA, "the-village")
    join(ADA, "asian")
    with parts.writing.begin() as session:
        [member] = session.scalars(
            select(Subscription).where(Subscription.group.has(slug="the-village"))
        )
        member.ended_at, member.is_unreachable = now(), True
    visitor.press(f"{link(ADA)}/copy")
    worker.drain()
    for words in (text_of(relay.to(ADA)[-1]), html_of(relay.to(ADA)[-1])):
        assert "Ended, because mail to you came back: " in words
        assert "Left: " not in words


def test_copies_beyond_three_a_day_wait(
    sheet: Path, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    path = sheet("the-village")
    for _ in range(5):
        visitor.press(f"{path}/copy")
    worker.drain()
    assert len(relay.to(ADA)) == 1 + 3


def test_erasing_asks_first_then_closes_the_list_and_the_worker_does_the_rest(
    sheet: Path, visitor: Visitor, parts: Parts, worker: Worker
) -> None:
    path = sheet()
    assert "cannot be undone" in visitor.open(f"{path}/erase").text
    assert counted(parts, Sheet) == 1
    assert "We are erasing everything" in visitor.press(f"{path}/erase").text
    assert visitor.open(path).status_code == 404
    assert visitor.press(f"{path}/erase").status_code == 404
    worker.drain()
    assert counted(parts, Subscription) == 0


def test_erasing_deletes_every_row_of_the_person_and_of_nobody_else(
    join: Join, link: Link, visitor: Visitor, parts: Parts, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village", "lgbtq")
    [grace] = join(GRACE, "the-village")
    visitor.join("asian", ADA)
    with parts.writing.begin() as session:
        queue_issue(session)
    worker.drain()
    path = link(ADA)
    visitor.send(f"{path}/change-address", email="ada2@dpsk12.org")
    worker.drain()
    visitor.press(f"{path}/erase")
    worker.drain()
    with parts.reading.begin() as session:
        assert session.scalars(select(Subscription.public_id)).all() == [grace]
        of_issue = select(Delivery.subscription_id).where(Delivery.newsletter_id.is_not(None))
        assert sorted(each is None for each in session.scalars(of_issue)) == [False, True]
    assert (counted(parts, Wish), counted(parts, AddressChange), counted(parts, Sheet)) == (0, 0, 0)
    receipt = relay.to(ADA)[-1]
    for words in (str(receipt["Subject"]), text_of(receipt), html_of(receipt)):
        assert "Village" not in words
        assert "LGBTQ" not in words
    assert "deleted what we kept" in " ".join(text_of(receipt).split())


def test_messages_to_us_are_in_the_copy_and_are_erased_with_the_rest(
    sheet: Path, visitor: Visitor, parts: Parts, worker: Worker, relay: Server
) -> None:
    references = []
    for address in (ADA, GRACE, "grace@example.org"):
        answer = visitor.send("/contact", email=address, topic="need", message="An interpreter.")
        references.append(answer.location.rpartition("/")[2].partition("?")[0])
    worker.drain()
    late = visitor.send("/contact", email=ADA, topic="need", message="Not mailed yet.")
    with parts.writing.begin() as session:
        session.execute(update(Delivery).where(Delivery.finished_at.is_(None)).values(due_at=None))
    path = sheet()
    visitor.press(f"{path}/copy")
    worker.drain()
    words = text_of(relay.to(ADA)[-1])
    assert references[0] in words
    assert references[1] not in words
    visitor.press(f"{path}/erase")
    worker.drain()
    with parts.reading.begin() as session:
        kept = set(session.scalars(select(ContactMessage.reference)))
    assert kept == {*references[1:], late.location.rpartition("/")[2].partition("?")[0]}


def _expand(parts: Parts, worker: Worker, state: State) -> None:
    """Let an issue be under way: its deliveries wait, or another worker holds them."""
    with parts.writing.begin() as session:
        settling.renew(session, "elsewhere")
        assert len(claims.claim_chunk(session, "elsewhere", worker._press, 100) or ()) == 2
        waiting = {"claimed_by": None, "due_at": now()} if state == State.QUEUED else {}
        of_issue = update(Delivery).where(Delivery.newsletter_id.is_not(None))
        session.execute(of_issue.values(state=state, **waiting))


@pytest.mark.parametrize(
    ("before", "after"), [(State.SENDING, State.UNCERTAIN), (State.QUEUED, State.WITHDRAWN)]
)
def test_what_another_worker_has_in_hand_is_taken_from_it(
    sheet: Path,
    join: Join,
    visitor: Visitor,
    parts: Parts,
    worker: Worker,
    before: State,
    after: State,
) -> None:
    """What may have left already is told as uncertain; the rest does not leave."""
    [other] = join("ada.king@dpsk12.org", "the-village")
    path = sheet("the-village")
    with parts.writing.begin() as session:
        queue_issue(session)
    _expand(parts, worker, before)
    visitor.press(f"{path}/erase")
    worker._read_requests()
    with parts.reading.begin() as session:
        states = select(Delivery.state).where(Delivery.newsletter_id.is_not(None))
        assert sorted(session.scalars(states)) == sorted([before, after])
        assert [each.public_id for each in session.scalars(select(Subscription))] == [other]


def test_an_issue_that_waits_for_the_erased_stays_here_and_its_books_are_right(
    sheet: Path, join: Join, visitor: Visitor, parts: Parts, worker: Worker, relay: Server
) -> None:
    join(GRACE, "the-village")
    path = sheet()
    with parts.writing.begin() as session:
        queue_issue(session)
    _expand(parts, worker, State.QUEUED)
    visitor.press(f"{path}/erase")
    worker.drain()
    assert "This month with us" not in [mail["Subject"] for mail in relay.to(ADA)]
    with parts.reading.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        counts = newsletters.report(session, issue)
    assert {name: number for name, number in counts.items() if number} == {
        "recipients": 2,
        "accepted": 1,
        "withdrawn": 1,
    }


def test_the_erased_can_join_again(
    sheet: Path, visitor: Visitor, worker: Worker, relay: Server
) -> None:
    visitor.press(f"{sheet()}/erase")
    worker.drain()
    visitor.join("the-village", ADA)
    worker.drain()
    assert "You are in" in visitor.press(link_to(relay.to(ADA)[-1], "confirm")).text


def test_a_day_later_nobody_can_tell_to_whom_the_links_went(
    sheet: Path, visitor: Visitor, parts: Parts, worker: Worker
) -> None:
    path = sheet()
    visitor.press(f"{path}/copy")
    worker.drain()
    with (
        time_machine.travel(now() + timedelta(days=1, minutes=1)),
        parts.writing.begin() as session,
    ):
        purge(session)
    with parts.reading.begin() as session:
        assert [each for each in session.scalars(select(Delivery)) if each.sealed_to] == []
        assert [each for each in session.scalars(select(Delivery)) if each.sealed_arguments] == []
    assert counted(parts, Sheet) == 0
