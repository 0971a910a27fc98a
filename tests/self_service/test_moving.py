"""A member takes their groups to a new address: confirmed there, told to the old one."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery import suppressions
from belong_mail.members import self_service as members_self_service
from belong_mail.members import service as members
from belong_mail.members.models import AddressChange, Subscription
from belong_mail.ops.rooms import purge_all
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, html_of, link_to, text_of
from tests.factories import members_of, queue_issue
from tests.markers import on_both
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


def count(services: Services, slug: str) -> int:
    with services.reading.begin() as session:
        return members_of(session, slug)


def rows(services: Services) -> int:
    with services.reading.begin() as session:
        return session.scalar(select(func.count(Subscription.id))) or 0


def send_issue(services: Services, worker: Worker) -> None:
    with services.writing.begin() as session:
        queue_issue(session)
    worker.drain()


@on_both("journeys")
def test_groups_move_once_the_new_address_has_confirmed(
    sheet: Sheet,
    link: Link,
    ask: Callable[..., str],
    visitor: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
) -> None:
    url = ask(sheet())
    [asked] = relay.to(NEW)
    for words in (str(asked["Subject"]), text_of(asked), html_of(asked)):
        assert "Village" not in words
        assert ADA not in words
    page = visitor.open(url).text
    assert "Use this email address from now on" in page
    assert "@" not in page.partition("<main")[2].partition("</main>")[0]
    worker.drain()
    send_issue(services, worker)
    assert relay.to(ADA)[-1]["Subject"] == "This month with us"

    assert "confirmed" in visitor.follow(url).text
    worker.drain()
    told = relay.to(ADA)[-1]
    for words in (str(told["Subject"]), text_of(told), html_of(told)):
        assert "Village" not in words
        assert "ada.king" not in words
    with time_machine.travel(now() + timedelta(minutes=1)):
        send_issue(services, worker)
        assert relay.to(NEW)[-1]["Subject"] == "This month with us"
        assert relay.to(ADA)[-1]["Subject"] == told["Subject"]
        page = visitor.open(link(NEW)).text
    assert "The Village" in page
    assert "LGBTQ" in page


def test_who_types_somebodys_address_as_their_new_one_delays_nothing_of_that_person(
    visitor: Visitor, worker: Worker, relay: Server, sheet: Sheet
) -> None:
    """Each change took eight hours from the confirmations of whoever owns the address."""
    path = sheet()
    for _ in range(20):
        assert visitor.send(f"{path}/change-address", email=NEW).status_code == 303
    worker.drain()
    assert len(relay.to(NEW)) == 3
    visitor.join("the-village", NEW)
    worker.drain()
    assert relay.to(NEW)[-1]["Subject"] == "Confirm your request to DPS Belong"
    with time_machine.travel(now() + timedelta(days=2)):
        worker.drain()
        assert len(relay.to(NEW)) <= 3 + 3 + 1


def test_the_old_links_are_dead_once_the_address_has_moved(
    sheet: Sheet,
    link: Link,
    ask: Callable[..., str],
    visitor: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
) -> None:
    """Readers of the old mailbox see nothing more there, and can do nothing."""
    first = sheet()
    second = link(ADA)
    url = ask(first)
    assert visitor.open(second).status_code == 200
    slip = slip_of(services, second)
    visitor.press(url)
    worker.drain()
    for old in (first, second):
        answers = [visitor.open(f"{old}{page}") for page in ("", "/erase", "/change-address")]
        for answer in (*answers, visitor.follow(f"{old}/copy"), visitor.follow(f"{old}/erase")):
            assert answer.status_code == 404
            assert "Village" not in answer.text
    ask_with(services, slip)
    worker.drain()
    assert count(services, "the-village") == count(services, "lgbtq") == 1
    assert [mail["Subject"] for mail in relay.to(NEW)] == ["Confirm your new email address"]
    assert relay.to("mallory@dpsk12.org") == []
    assert visitor.open(link(NEW)).status_code == 200


def test_a_group_that_was_just_left_does_not_keep_the_old_link_alive(
    join: Join,
    link: Link,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    services: Services,
) -> None:
    """It could be joined again there, by whoever reads the old mailbox."""
    [village, _lgbtq] = join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    url = ask(path)
    visitor.press(f"{path}/leave", membership=village)
    visitor.press(url)
    assert visitor.open(path).status_code == 200
    worker.drain()
    assert visitor.open(path).status_code == 404
    assert visitor.press(f"{path}/undo", membership=village).status_code == 404
    assert count(services, "the-village") == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en", "Moved your groups? Ask for a new link with your new address."),
        ("es", "¿Pasaste tus grupos a otro correo? Pide un enlace con el correo nuevo."),
    ],
)
def test_the_old_link_explains_itself_and_says_the_same_to_whoever_guessed_one(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    code: str,
    words: str,
) -> None:
    old = sheet()
    visitor.press(ask(old))
    worker.drain()
    page = visitor.open(f"{old}?lang={code}").text
    assert words in page
    assert 'href="/my-groups' in page
    assert visitor.open(f"/my-groups/guessed?lang={code}").text == page.replace(
        old.rpartition("/")[2], "guessed"
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en", "You already confirmed this email address"),
        ("es", "Ya confirmaste este correo"),
    ],
)
def test_a_used_link_says_that_it_is_done_and_does_not_ask_again(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    code: str,
    words: str,
) -> None:
    url = ask(sheet()).partition("?")[0]
    assert "<form" in visitor.open(url).text.partition("<main")[2].partition("</main>")[0]
    visitor.press(url)
    for _ in range(2):
        page = visitor.open(f"{url}?lang={code}")
        assert page.status_code == 200
        assert words in page.text
        assert "<form" not in page.text.partition("<main")[2].partition("</main>")[0]
        worker.drain()


def test_leaving_dps_offers_only_what_works(join: Join, link: Link, visitor: Visitor) -> None:
    """A personal address is not taken, so nothing says that groups could move to one."""
    [village] = join(ADA, "the-village")
    path = link(ADA)
    page = visitor.open(path).text
    assert "they can’t move to a personal email address" in page
    assert f"{path}/change-address" in page
    assert visitor.send(f"{path}/change-address", email="ada@example.org").status_code == 422
    visitor.press(f"{path}/leave", membership=village)
    assert f"{path}/change-address" not in visitor.open(path).text


def slip_of(services: Services, path: str) -> str:
    """Return what a break-in to the web sees when somebody opens a link."""
    with services.reading.begin() as session:
        listed = members_self_service.open_session(session, path.rpartition("/")[2])
    return base64.b64encode(listed.permit).decode()


def ask_with(services: Services, slip: str) -> None:
    """Ask for all that a slip allows."""
    wanted = {"slip": slip, "language": "en", "new": "mallory@dpsk12.org"}
    with services.writing.begin() as session:
        for kind in ("my-copy", "change-address", "erase"):
            sealed = services.sealer.seal(json.dumps(wanted).encode(), sealed_for(kind))
            session.add(Job(kind=kind, sealed=sealed))


def test_a_change_that_was_asked_for_before_another_moves_nothing_away_again(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
) -> None:
    path = sheet()
    older = ask(path, "older.wish@dpsk12.org")
    visitor.press(ask(path))
    worker.drain()
    visitor.press(older)
    worker.drain()
    with time_machine.travel(now() + timedelta(minutes=1)):
        with services.writing.begin() as session:
            queue_issue(session)
        worker.drain()
    assert relay.to(NEW)[-1]["Subject"] == "This month with us"
    assert len(relay.to("older.wish@dpsk12.org")) == 1


def test_pressing_twice_moves_once_and_tells_once(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
) -> None:
    url = ask(sheet())
    visitor.press(url)
    visitor.press(url)
    with services.reading.begin() as session:
        assert session.scalar(select(func.count(Job.id))) == 1
    worker.drain()
    with services.reading.begin() as session:
        assert session.scalars(select(AddressChange.wrapped)).one() == b""
    assert "confirmed" in visitor.follow(url).text
    worker.drain()
    assert [mail["Subject"] for mail in relay.to(ADA)].count(
        "Your email address for DPS Belong was changed"
    ) == 1


def test_the_link_is_too_old_after_a_day(
    sheet: Sheet, ask: Callable[..., str], visitor: Visitor, services: Services
) -> None:
    url = ask(sheet())
    with time_machine.travel(now() + timedelta(hours=24, minutes=2)):
        page = visitor.press(url)
        assert page.status_code == 404
        assert 'href="/my-groups' in page.text
        assert "works for one day" in page.text
    with time_machine.travel(now() + timedelta(days=8)), services.writing.begin() as session:
        purge_all(session)
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
    sheet: Sheet,
    visitor: Visitor,
    services: Services,
    keyring: Keyring,
    worker: Worker,
    relay: Server,
) -> None:
    with services.writing.begin() as session:
        suppressions.suppress(session, keyring.index, NEW, "asked")
    answer = visitor.send(f"{sheet()}/change-address", email=NEW)
    assert answer.status_code == 303
    worker.drain()
    assert relay.to(NEW) == []


def test_two_memberships_of_one_group_become_one(
    sheet: Sheet,
    join: Join,
    ask: Callable[..., str],
    visitor: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
) -> None:
    [stays] = join(NEW, "the-village")
    visitor.press(ask(sheet()))
    worker.drain()
    with services.reading.begin() as session:
        assert stays in session.scalars(select(Subscription.public_id)).all()
    assert (count(services, "the-village"), count(services, "lgbtq")) == (1, 1)
    assert rows(services) == 2
    with time_machine.travel(now() + timedelta(minutes=1)):
        send_issue(services, worker)
    subjects = [mail["Subject"] for mail in relay.to(NEW)]
    assert subjects.count("This month with us") == 1


def test_a_membership_that_the_new_address_has_ended_gives_way(
    sheet: Sheet,
    join: Join,
    ask: Callable[..., str],
    visitor: Visitor,
    services: Services,
    worker: Worker,
) -> None:
    [old] = join(NEW, "the-village")
    with services.writing.begin() as session:
        members.leave(session, old)
    visitor.press(ask(sheet()))
    worker.drain()
    assert rows(services) == 2
    assert count(services, "the-village") == 1


def test_what_was_left_in_the_meantime_does_not_move(
    join: Join,
    link: Link,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    relay: Server,
    services: Services,
) -> None:
    [village] = join(ADA, "the-village")
    path = link(ADA)
    url = ask(path)
    visitor.press(f"{path}/leave", membership=village)
    visitor.press(url)
    worker.drain()
    assert count(services, "the-village") == 0
    assert len(relay.to(ADA)) == 1


def test_another_spelling_of_the_same_address_is_a_change_too(
    sheet: Sheet,
    ask: Callable[..., str],
    visitor: Visitor,
    worker: Worker,
    services: Services,
    relay: Server,
) -> None:
    visitor.press(ask(sheet(), "Ada@dpsk12.org"))
    worker.drain()
    with time_machine.travel(now() + timedelta(minutes=1)):
        send_issue(services, worker)
    assert relay.accepted[-1].recipient == "Ada@dpsk12.org"
    assert rows(services) == 2
