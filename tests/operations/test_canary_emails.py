"""A small email every five minutes, and what is said, without the relay, when none is taken."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery, State
from belong_mail.ops import canary, grants, key_rotation
from belong_mail.ops.metrics import exposition, gather_metrics
from belong_mail.worker.loop import Worker, make_worker
from tests.browser_client import Visitor, text_of
from tests.delivery.factories import queue
from tests.operations.test_signs_of_life import Clock, status
from tests.servers.smtp import Server, drop

WATCHER = "watcher@example.org"
IS_SET = pytest.mark.parametrize("settings", [{"BELONG_CANARY_ADDRESS": WATCHER}])
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SILENT = "The relay has accepted no test email for {} minutes: email isn't going out."


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as clock:
        yield clock


def pass_minutes(clock: Clock, worker: Worker, number: int) -> None:
    for _ in range(number):
        clock.shift(MINUTE)
        worker.drain()


def canaries(services: Services) -> list[Delivery]:
    with services.reading.begin() as session:
        return list(session.scalars(select(Delivery).where(canary.IS_CANARY).order_by(Delivery.id)))


def seconds(services: Services) -> str:
    """Return what `/metrics` says about the last canary."""
    with services.reading.begin() as session:
        lines = exposition(gather_metrics(session, None)).splitlines()
    [value] = [each.split()[1] for each in lines if each.startswith("belong_canary_seconds ")]
    return value


@IS_SET
def test_one_leaves_every_five_minutes_and_says_nothing_of_anybody(
    clock: Clock, worker: Worker, relay: Server, cli: FlaskCliRunner, services: Services
) -> None:
    worker.drain()
    pass_minutes(clock, worker, 20)
    assert [one.recipient for one in relay.accepted] == [WATCHER] * 5
    asked = [one.created_at for one in canaries(services)]
    assert [late - early for early, late in pairwise(asked)] == [5 * MINUTE] * 4
    mail = relay.to(WATCHER)[0]
    assert mail["Subject"] == "Test email: email is going out"
    assert "BELONG_CANARY_ADDRESS" in text_of(mail)
    assert "dpsk12" not in text_of(mail)
    assert "Group" not in text_of(mail)
    assert status(cli) == []
    assert seconds(services) == "0"


def test_without_an_address_there_is_none(
    clock: Clock, worker: Worker, relay: Server, cli: FlaskCliRunner, services: Services
) -> None:
    worker.drain()
    pass_minutes(clock, worker, 20)
    assert relay.accepted == []
    assert canaries(services) == []
    assert status(cli) == []
    assert seconds(services) == "nan"


@IS_SET
@pytest.mark.parametrize("trouble", ["no connection", "451 at RCPT", "550 at RCPT", "hangs up"])
def test_when_the_relay_takes_none_for_15_minutes_status_says_so(
    trouble: str,
    clock: Clock,
    worker: Worker,
    relay: Server,
    cli: FlaskCliRunner,
    services: Services,
) -> None:
    """However it says no, and although nobody else writes; soon after it takes them all is well."""
    worker.drain()
    {
        "no connection": lambda: relay.always("CONNECT", drop()),
        "451 at RCPT": lambda: relay.always("RCPT", "451 4.3.0 Lookup failed"),
        "550 at RCPT": lambda: relay.always("RCPT", "550 5.1.1 No such user"),
        "hangs up": lambda: relay.always("DATA", drop()),
    }[trouble]()
    pass_minutes(clock, worker, 15)
    assert not [words for words in status(cli) if "test email" in words]
    pass_minutes(clock, worker, 1)
    [words] = [words for words in status(cli) if "test email" in words]
    assert words.startswith(SILENT.format(16))
    assert seconds(services) == "960"
    pass_minutes(clock, worker, 65)
    assert len(relay.accepted) == 1
    relay.usual()
    pass_minutes(clock, worker, 7)
    assert not [words for words in status(cli) if "test email" in words]
    assert 2 <= len(relay.accepted) <= 4


@IS_SET
def test_while_one_waits_no_other_is_asked_for(
    clock: Clock, worker: Worker, relay: Server, services: Services
) -> None:
    relay.always("CONNECT", drop())
    worker.drain()
    pass_minutes(clock, worker, 60)
    assert len(canaries(services)) == 1
    relay.usual()
    pass_minutes(clock, worker, 3)
    assert 1 <= len(relay.accepted) <= 2


@IS_SET
def test_a_worker_that_does_not_know_the_address_is_noticed(
    clock: Clock, services: Services, keyring: Keyring, cli: FlaskCliRunner
) -> None:
    assert clock
    assert "No worker sends test emails." in " ".join(status(cli))
    worker = make_worker(services, keyring)
    worker.drain()
    worker.engine.close()
    assert status(cli) == []


@IS_SET
def test_one_that_a_clock_in_the_future_wrote_is_neither_waited_for_nor_believed(
    clock: Clock, worker: Worker, relay: Server, services: Services, cli: FlaskCliRunner
) -> None:
    worker.drain()
    with services.writing.begin() as session:
        ahead = update(Delivery).values(created_at=now() + DAY, finished_at=now() + DAY)
        session.execute(ahead)
    pass_minutes(clock, worker, 1)
    assert len(relay.accepted) == 2
    relay.always("CONNECT", drop())
    pass_minutes(clock, worker, 16)
    assert [words for words in status(cli) if words.startswith(SILENT.format(16))]


@IS_SET
def test_they_are_kept_for_a_day(clock: Clock, worker: Worker, services: Services) -> None:
    worker.drain()
    clock.shift(DAY - MINUTE)
    worker.drain()
    assert len(canaries(services)) == 2
    pass_minutes(clock, worker, 2)
    [left] = canaries(services)
    assert left.state == State.ACCEPTED
    assert left.created_at > now() - 3 * MINUTE


@IS_SET
def test_what_somebody_waits_for_overtakes_a_canary_and_an_issue_does_not_hold_it_up(
    worker: Worker, relay: Server, services: Services, keyring: Keyring, visitor: Visitor
) -> None:
    queue(services, keyring, 200)
    visitor.join("the-village", "new@dpsk12.org")
    worker.drain()
    left = [one.recipient for one in relay.accepted]
    assert max(left.index("new@dpsk12.org"), left.index(WATCHER)) < 100
    assert len(left) == 202


@IS_SET
def test_the_web_asks_for_none_and_keys_that_are_older_are_not_kept_for_one(
    worker: Worker, services: Services, keyring: Keyring
) -> None:
    assert canary.CANARY not in grants.SENT_BY_THE_WEB
    worker.drain()
    with services.writing.begin() as session:
        assert key_rotation.rows_left(session, keyring.opener) == {}
