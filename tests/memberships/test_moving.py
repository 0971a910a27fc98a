"""A member takes their groups to a new address: confirmed there, told to the old one."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from belong_mail.db import now
from belong_mail.memberships.models import AddressChange
from belong_mail.outbox import suppressions
from belong_mail.parts import Parts
from belong_mail.retention import purge
from belong_mail.subscriptions import service
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import members_of, queue_issue
from tests.people import Visitor, html_of, link_to, text_of
from tests.servers.smtp import Server

ADA, NEW = "ada@dpsk12.org", "ada.king@dpsk12.org"
Sheet = Callable[..., str]
Join = Callable[..., list[str]]
Link = Callable[[str], str]


@pytest.fixture
def ask(visitor: Visitor, worker: Worker, relay: Server) -> Callable[..., str]:
    """Type the new address and return the link that was mailed there."""

    def ask(path: str, new: str = NEW) -> str:
        assert visitor.send(f"{path}/change-address", email=new).status_code == 303
        worker.drain()
        return link_to(relay.to(new)[-1], "change-address")

    return ask


def count(parts: Parts, slug: str) -> int:
    with parts.reading.begin() as session:
        return members_of(session, slug)


def rows(parts: Parts) -> int:
    with parts.reading.begin() as session:
        return session.scalar(select(func.count(Subscription.id))) or 0


def send_issue(parts: Parts, worker: Worker) -> None:
    with parts.writing.begin() as session:
        queue_issue(session)
    worker.drain()


def test_groups_move_once_the_new_address_has_confirmed(
    sheet: Sheet,
    link: Link,
    ask: Callable[..., str],
    visitor: Visitor,
    parts: Parts,
    worker: Worker,
    relay: Server,
) -> None:
    url = ask(sheet())
    [asked] = relay.to(NEW)
    for words in (str(asked["Subject"]), text_of(asked), html_of(asked)):
        assert "Village" not in words
        assert ADA not in words
    page = visitor.open(url).text
    assert "Use this address from now on" in page
    assert "@" not in page.partition("<main")[2].partition("</main>")[0]
    worker.drain()
    send_issue(parts, worker)
    assert relay.to(ADA)[-1]["Subject"] == "This month with us"

    assert "confirmed" in visitor.press(url).text
    worker.drain()
    told = relay.to(ADA)[-1]
    for words in (str(told["Subject"]), text_of(told), html_of(told)):
        assert "Village" not in words
        assert "ada.king" not in words
    with time_machine.travel(now() + timedelta(minutes=1)):
        send_issue(parts, worker)
        assert relay.to(NEW)[-1]["Subject"] == "This month with us"
        assert relay.to(ADA)[-1]["Subject"] == told["Subject"]
        page = visitor.open(link(NEW)).text
    assert "The Village" in page
    assert "LGBTQ" in page


def test_pressing_twice_moves_once_and_tells_once(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    parts: Parts,
    worker: Worker,
    relay: Server,
) -> None:
    url = ask(sheet())
    visitor.press(url)
    visitor.press(url)
    with parts.reading.begin() as session:
        assert session.scalar(select(func.count(Request.id))) == 1
    worker.drain()
    with parts.reading.begin() as session:
        assert session.scalars(select(AddressChange.wrapped)).one() == b""
    assert "confirmed" in visitor.press(url).text
    worker.drain()
    assert [mail["Subject"] for mail in relay.to(ADA)].count(
        "Your address with us was changed"
    ) == 1


def test_the_link_is_too_old_after_a_day(
    sheet: Sheet, ask: Callable[..., str], visitor: Visitor, parts: Parts
) -> None:
    url = ask(sheet())
    with time_machine.travel(now() + timedelta(hours=24, minutes=2)):
        page = visitor.press(url)
        assert page.status_code == 404
        assert 'href="/my-groups' in page.text
    with time_machine.travel(now() + timedelta(days=8)), parts.writing.begin() as session:
        purge(session)
        assert session.scalar(select(func.count(AddressChange.id))) == 0


@pytest.mark.parametrize("new", ["", "   ", "ada", "ada@example.org", "a@b@dpsk12.org", "x" * 300])
def test_only_a_staff_address_is_taken(
    sheet: Sheet, visitor: Visitor, relay: Server, new: str
) -> None:
    page = visitor.send(f"{sheet()}/change-address", email=new)
    assert page.status_code == 422
    assert "<title>Problem" in page.text
    assert len(relay.accepted) == 1


def test_a_new_address_that_wants_no_mail_gets_none(
    sheet: Sheet, visitor: Visitor, parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    with parts.writing.begin() as session:
        suppressions.add(session, keyring.index, NEW, "asked")
    answer = visitor.send(f"{sheet()}/change-address", email=NEW)
    assert answer.status_code == 303
    worker.drain()
    assert relay.to(NEW) == []


def test_two_memberships_of_one_group_become_one(
    sheet: Sheet,
    join: Join,
    ask: Callable[..., str],
    visitor: Visitor,
    parts: Parts,
    worker: Worker,
    relay: Server,
) -> None:
    [stays] = join(NEW, "the-village")
    visitor.press(ask(sheet()))
    worker.drain()
    with parts.reading.begin() as session:
        assert stays in session.scalars(select(Subscription.public_id)).all()
    assert (count(parts, "the-village"), count(parts, "lgbtq")) == (1, 1)
    assert rows(parts) == 2
    with time_machine.travel(now() + timedelta(minutes=1)):
        send_issue(parts, worker)
    subjects = [mail["Subject"] for mail in relay.to(NEW)]
    assert subjects.count("This month with us") == 1


def test_a_membership_that_the_new_address_has_ended_gives_way(
    sheet: Sheet,
    join: Join,
    ask: Callable[..., str],
    visitor: Visitor,
    parts: Parts,
    worker: Worker,
) -> None:
    [old] = join(NEW, "the-village")
    with parts.writing.begin() as session:
        service.leave(session, old)
    visitor.press(ask(sheet()))
    worker.drain()
    assert rows(parts) == 2
    assert count(parts, "the-village") == 1


def test_what_was_left_in_the_meantime_does_not_move(
    join: Join,
    link: Link,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    relay: Server,
    parts: Parts,
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    url = ask(path)
    visitor.press(f"{path}/leave", membership=village)
    visitor.press(url)
    worker.drain()
    assert count(parts, "the-village") == 0
    assert len(relay.to(ADA)) == 1


def test_another_spelling_of_the_same_address_is_a_change_too(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    parts: Parts,
    relay: Server,
) -> None:
    visitor.press(ask(sheet(), "Ada@dpsk12.org"))
    worker.drain()
    with time_machine.travel(now() + timedelta(minutes=1)):
        send_issue(parts, worker)
    assert relay.accepted[-1].recipient == "Ada@dpsk12.org"
    assert rows(parts) == 2
