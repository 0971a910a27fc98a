"""A member gets a copy of what is held, or has all of it erased."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from sqlalchemy import func, select, update

from belong_mail.contact.models import ContactMessage
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery import claims, outbox, results
from belong_mail.delivery.models import Delivery, State
from belong_mail.members.models import (
    AddressChange,
    Erasure,
    ManageSession,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.rooms import purge_all
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, html_of, link_to, text_of
from tests.factories import launch_an_hour_ago, queue_issue
from tests.markers import on_both, periodic_tasks
from tests.servers.smtp import Server

pytestmark = periodic_tasks

ADA, GRACE = "ada@dpsk12.org", "grace@dpsk12.org"
Path = Callable[..., str]
Join = Callable[..., list[str]]
Link = Callable[[str], str]


def counted(services: Services, table: type) -> int:
    with services.reading.begin() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def later(worker: Worker) -> None:
    """Let two days pass: what was erased at once for the person is gone from the database too."""
    with time_machine.travel(now() + timedelta(days=2, minutes=2), tick=True):
        worker.drain()


@on_both("journeys")
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
    assert "We’re emailing you the copy." in visitor.open(answer.location).text
    worker.drain()
    words = text_of(relay.to(ADA)[-1])
    assert ADA in words
    assert "First name: Ada" in words
    assert "Language: English" in words
    assert "Paused until" in words
    assert "Not confirmed yet" in words
    assert "The Village" in words
    assert "LGBTQ" not in words
    assert relay.to(GRACE) == []
    assert ADA in html_of(relay.to(ADA)[-1])


def test_the_copy_does_not_say_that_somebody_left_whose_mail_came_back(
    join: Join, link: Link, visitor: Visitor, worker: Worker, relay: Server, services: Services
) -> None:
    join(ADA, "the-village")
    join(ADA, "asian")
    with services.writing.begin() as session:
        [member] = session.scalars(
            select(Subscription).where(Subscription.group.has(slug="the-village"))
        )
        member.ended_at, member.is_unreachable = now(), True
    visitor.press(f"{link(ADA)}/copy")
    worker.drain()
    for words in (text_of(relay.to(ADA)[-1]), html_of(relay.to(ADA)[-1])):
        assert "Ended because our emails to you bounced: " in words
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
    sheet: Path, visitor: Visitor, services: Services, worker: Worker
) -> None:
    path = sheet()
    assert "You can’t undo this" in visitor.open(f"{path}/erase").text
    assert counted(services, ManageSession) == 1
    assert "We’re deleting your information" in visitor.follow(f"{path}/erase").text
    assert visitor.open(path).status_code == 404
    assert visitor.follow(f"{path}/erase").status_code == 404
    worker.drain()
    later(worker)
    assert counted(services, Subscription) == counted(services, Erasure) == 0


@pytest.mark.parametrize(("code", "words"), [("en", "two days"), ("es", "dos días")])
def test_the_pages_of_erasing_say_the_true_time_also_when_they_are_opened_later(
    sheet: Path, visitor: Visitor, services: Services, code: str, words: str
) -> None:
    path, start = sheet(), now()
    zone = services.settings.timezone
    with services.reading.begin() as session:
        until = session.scalars(select(ManageSession)).one().expires_at
    assert i18n.format_time(until, code, zone) in visitor.open(f"{path}/erase?lang={code}").text
    done = visitor.follow(f"{path}/erase?lang={code}").text
    other = "en" if code == "es" else "es"
    [later_on] = re.findall(rf'href="(/my-groups/deleted[^"]+)"[^>]*lang="{other}"', done)
    days = {i18n.format_date(start + timedelta(days=2, hours=each), code, zone) for each in (1, 2)}
    assert any(day in done for day in days)
    with time_machine.travel(start + timedelta(hours=24)):
        days = {
            i18n.format_date(start + timedelta(days=2, hours=each), other, zone) for each in (1, 2)
        }
        assert any(day in visitor.open(unescape(later_on)).text for day in days)
        for old in (path, f"{path}/erase"):
            gone = visitor.open(f"{old}?lang={code}")
            assert gone.status_code == 404
            assert words in gone.text


@on_both("foreign keys")
def test_erasing_deletes_every_row_of_the_person_and_of_nobody_else(
    join: Join, link: Link, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village", "lgbtq")
    [grace] = join(GRACE, "the-village")
    visitor.join("asian", ADA)
    with services.writing.begin() as session:
        queue_issue(session)
    worker.drain()
    path = link(ADA)
    visitor.send(f"{path}/change-address", email="ada2@dpsk12.org")
    worker.drain()
    visitor.follow(f"{path}/erase")
    worker.drain()
    receipt = relay.to(ADA)[-1]
    later(worker)
    with services.reading.begin() as session:
        assert session.scalars(select(Subscription.public_id)).all() == [grace]
        of_issue = select(Delivery.subscription_id).where(Delivery.newsletter_id.is_not(None))
        assert sorted(each is None for each in session.scalars(of_issue)) == [False, True]
    assert (
        counted(services, PendingConfirmation),
        counted(services, AddressChange),
        counted(services, ManageSession),
    ) == (0, 0, 0)
    for words in (str(receipt["Subject"]), text_of(receipt), html_of(receipt)):
        assert "Village" not in words
        assert "LGBTQ" not in words
    assert "gone within two days of your request" in " ".join(text_of(receipt).split())


def test_messages_to_us_are_in_the_copy_and_are_erased_with_the_rest(
    sheet: Path, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    references = []
    for address in (ADA, GRACE, "grace@example.org"):
        answer = visitor.send("/contact", email=address, topic="need", message="An interpreter.")
        references.append(answer.location.rpartition("/")[2].partition("?")[0])
    worker.drain()
    late = visitor.send("/contact", email=ADA, topic="need", message="Not mailed yet.")
    with services.writing.begin() as session:
        session.execute(update(Job).values(due_at=now() + timedelta(days=9)))
    path = sheet()
    visitor.press(f"{path}/copy")
    worker.drain()
    words = text_of(relay.to(ADA)[-1])
    assert references[0] in words
    assert references[1] not in words
    visitor.follow(f"{path}/erase")
    worker.drain()
    later(worker)
    with services.reading.begin() as session:
        kept = set(session.scalars(select(ContactMessage.reference)))
    assert kept == {*references[1:], late.location.rpartition("/")[2].partition("?")[0]}


def _expand(services: Services, worker: Worker, state: State) -> None:
    """Let an issue be under way: its deliveries wait, or another worker holds them."""
    with services.writing.begin() as session:
        results.renew_lease(session, "elsewhere")
        assert len(claims.claim_chunk(session, "elsewhere", worker._issue_mailer, 100) or ()) == 2
        waiting = {"claimed_by": None, "due_at": now()} if state == State.QUEUED else {}
        of_issue = update(Delivery).where(Delivery.newsletter_id.is_not(None))
        session.execute(of_issue.values(state=state, **waiting))


@on_both("locks")
@pytest.mark.parametrize(
    ("before", "after"), [(State.SENDING, State.UNCERTAIN), (State.QUEUED, State.WITHDRAWN)]
)
def test_what_another_worker_has_in_hand_is_taken_from_it(
    sheet: Path,
    join: Join,
    visitor: Visitor,
    services: Services,
    worker: Worker,
    before: State,
    after: State,
) -> None:
    """Copies that may have left already are uncertain; the rest does not leave."""
    [other] = join("ada.king@dpsk12.org", "the-village")
    path = sheet("the-village")
    with services.writing.begin() as session:
        queue_issue(session)
    _expand(services, worker, before)
    visitor.follow(f"{path}/erase")
    worker._read_requests()
    with services.reading.begin() as session:
        states = select(Delivery.state).where(Delivery.newsletter_id.is_not(None))
        assert sorted(session.scalars(states)) == sorted([before, after])
        assert [each.public_id for each in session.scalars(select(Subscription))] == [other]


def test_an_issue_that_waits_for_the_erased_stays_here_and_its_books_are_right(
    sheet: Path, join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    join(GRACE, "the-village")
    path = sheet()
    with services.writing.begin() as session:
        queue_issue(session)
    _expand(services, worker, State.QUEUED)
    visitor.follow(f"{path}/erase")
    worker.drain()
    assert "This month with us" not in [mail["Subject"] for mail in relay.to(ADA)]
    with services.reading.begin() as session:
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
    assert "You’re in" in visitor.follow(link_to(relay.to(ADA)[-1], "confirm")).text


def test_who_erased_everything_gets_nothing_more_before_the_rows_are_gone(
    sheet: Path, join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    """Neither an issue, nor another mail, nor a link to groups that are as good as gone."""
    [other] = join(GRACE, "the-village")
    path = sheet()
    visitor.follow(f"{path}/erase")
    worker._read_requests()
    assert counted(services, Subscription) == 3
    with services.writing.begin() as session:
        for each in session.scalars(select(Subscription.id)):
            outbox.post(session, "welcome-member", subscription_id=each)
        queue_issue(session)
    worker.drain()
    visitor.send("/my-groups", email=ADA)
    visitor.press(f"{path}/copy")
    worker.drain()
    subjects = [mail["Subject"] for mail in relay.to(ADA)]
    assert subjects == [
        "The link you asked for",
        "We deleted your information",
        "The link you asked for",
    ]
    assert "We didn’t find anything for this email address" in html_of(relay.to(ADA)[-1])
    assert {mail["Subject"] for mail in relay.to(GRACE)} == {
        "Welcome! You’re in.",
        "This month with us",
    }
    with services.reading.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        counts = newsletters.report(session, issue)
        assert (counts["recipients"], counts["accepted"], counts["withdrawn"]) == (2, 1, 1)
        village = select(Subscription.public_id).where(Subscription.group.has(slug="the-village"))
        assert session.scalars(village).all() == [other]


def test_what_was_erased_by_a_clock_that_was_ahead_is_gone_within_two_days(
    sheet: Path, visitor: Visitor, services: Services, worker: Worker
) -> None:
    with time_machine.travel(now() + timedelta(hours=40), tick=True):
        visitor.press(f"{sheet()}/erase")
        worker._read_requests()
    assert counted(services, Erasure) == 1
    worker._meet_at = 0.0
    worker.drain()
    assert counted(services, Subscription) == 2
    later(worker)
    assert counted(services, Subscription) == counted(services, Erasure) == 0


@pytest.mark.parametrize("sealed", [b"no key's", b"no JSON", b"[]", b'{"address": 7}'])
def test_a_bad_row_keeps_nobody_from_a_copy_or_from_erasing(
    sealed: bytes, sheet: Path, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    """A message whose key is gone, or that whoever broke in wrote; a change likewise."""
    path, seal = sheet(), services.sealer.seal
    with services.writing.begin() as session:
        content = sealed if sealed == b"no key's" else seal(sealed, "contact_messages.sealed")
        session.add(ContactMessage(reference="2345-6789", sealed=content))
        session.add(AddressChange(public_id="forged", wrapped=b"no key's"))
        moved = select(Subscription).where(Subscription.group.has(slug="the-village"))
        session.scalars(moved).one().wrapped_address = b"no key's"
    visitor.press(f"{path}/copy")
    worker.drain()
    visitor.follow(f"{path}/erase")
    worker.drain()
    assert [mail["Subject"] for mail in relay.to(ADA)][-1] == "We deleted your information"
    assert len(relay.to(ADA)) == 3
    later(worker)
    with services.reading.begin() as session:
        left = session.scalars(select(Subscription)).all()
        assert [each.group.slug for each in left] == ["the-village"]


@on_both("locks")
def test_no_issue_leaves_to_the_erased_while_another_worker_carries_on_erasing(
    sheet: Path, join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    """Rows that it held during its minute's tasks were passed over."""
    join(GRACE, "the-village")
    visitor.press(f"{sheet()}/erase")
    worker._read_requests()
    with services.writing.begin() as session:
        queue_issue(session)
    with on_postgresql_held(services):
        worker.drain()
    assert "This month with us" not in [mail["Subject"] for mail in relay.to(ADA)]
    assert relay.to(GRACE)[-1]["Subject"] == "This month with us"


@contextmanager
def on_postgresql_held(services: Services) -> Iterator[None]:
    """Hold the lists of what is erased as another worker does; on SQLite nobody else may write."""
    if services.writing.kw["bind"].dialect.name == "sqlite":
        yield
        return
    with services.writing.begin() as session:
        assert session.scalars(select(Erasure).with_for_update()).all()
        yield


def test_who_joins_again_while_the_rest_is_being_erased_stays(
    sheet: Path, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    visitor.press(f"{sheet()}/erase")
    worker.drain()
    visitor.join("the-village", ADA)
    worker.drain()
    visitor.press(link_to(relay.to(ADA)[-1], "confirm"))
    worker.drain()
    assert relay.to(ADA)[-1]["Subject"] == "Welcome! You’re in."
    later(worker)
    with services.reading.begin() as session:
        [kept] = session.scalars(select(Subscription))
        assert kept.is_active
        assert kept.group.slug == "the-village"


def test_a_note_about_an_upcoming_group_is_erased_too_and_tells_nobody(
    sheet: Path, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    visitor.send("/groups/autoimmune/tell-me", email=ADA)
    path = sheet()
    worker.drain()
    visitor.follow(f"{path}/erase")
    worker.drain()
    assert counted(services, WaitlistEntry) == 1
    with services.writing.begin() as session:
        launch_an_hour_ago(session, "autoimmune")
    worker.drain()
    assert counted(services, WaitlistEntry) == 0
    assert relay.to(ADA)[-1]["Subject"] == "We deleted your information"


def test_a_day_later_nobody_can_tell_to_whom_the_links_went(
    sheet: Path, visitor: Visitor, services: Services, worker: Worker
) -> None:
    path = sheet()
    visitor.press(f"{path}/copy")
    worker.drain()
    with (
        time_machine.travel(now() + timedelta(days=1, minutes=1)),
        services.writing.begin() as session,
    ):
        purge_all(session)
    with services.reading.begin() as session:
        assert [each for each in session.scalars(select(Delivery)) if each.sealed_to] == []
        assert [each for each in session.scalars(select(Delivery)) if each.sealed_arguments] == []
    assert counted(services, ManageSession) == 0
