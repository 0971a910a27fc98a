"""A real standby takes over, some seconds behind or with all that the dead server had."""

import re
from collections.abc import Iterator

import pytest

from belong_mail.core.db import make_engine
from belong_mail.ops import schema
from tests.delivery.factories import books
from tests.ops.copies import HELD, MANY, TOOK_OVER, doubled, is_held, lagging
from tests.ops.standby import Pair, pair
from tests.ops.troubles import end, is_said
from tests.processes import SECONDS, run, running
from tests.waiting import wait_until
from tests.web_role import give_rights

# Deliveries that a worker has on their way at most: that is in doubt, and waits longer.
IN_HAND = 100


@pytest.fixture
def servers() -> Iterator[Pair]:
    with pair() as servers:
        yield servers


@pytest.fixture
def database_url(servers: Pair) -> str:
    """A database on both servers, given as an operator would name both."""
    schema.upgrade(engine := make_engine(servers.url))
    give_rights(engine)
    engine.dispose()
    return servers.url


def test_what_a_standby_lacks_leaves_again_only_once_somebody_has_been_told_and_asks_for_it(
    environment, long_issue, relay, services, servers
):
    with lagging(environment, relay, servers.part) as process:
        servers.fail_over()
        is_said(process, HELD)
        end(process)
    is_held(environment, TOOK_OVER)
    assert run(environment, "worker", "--drain").returncode == 1
    assert doubled(relay) == 0
    told = run(environment, "hold", "status").stdout
    counted = re.findall(r"(\d+) (?:queued|deferred|uncertain)", told)
    relay.delay = 0
    assert run(environment, "hold", "release").returncode == 0
    assert run(environment, "worker", "--drain").returncode == 0
    assert len({one.recipient for one in relay.accepted}) == MANY
    assert 120 - IN_HAND <= doubled(relay) <= sum(map(int, counted))
    states = books(services, long_issue)
    assert states["accepted"] + states.get("uncertain", 0) == MANY


def test_what_a_standby_may_lack_waits_for_a_lead_after_a_release_in_doubt(
    environment, long_issue, relay, services, servers
):
    """The worker has died with its server; only its state folder knows what it had done."""
    with lagging(environment, relay, servers.part) as process:
        process.kill()
        process.communicate(timeout=SECONDS)
    servers.fail_over()
    assert run(environment, "worker", "--drain").returncode == 1
    is_held(environment, TOOK_OVER)
    have_left = len(relay.accepted)
    assert run(environment, "hold", "release", "--doubt").stdout.startswith(
        "Newsletters paused: 1."
    )
    assert run(environment, "worker", "--drain").returncode == 0
    assert len(relay.accepted) == have_left
    assert doubled(relay) == 0
    states = books(services, long_issue)
    assert states["uncertain"] > 0
    assert states.get("accepted", 0) < have_left


def test_a_standby_that_lacks_nothing_takes_over_and_both_hosts_go_on_once_released(
    environment, long_issue, relay, services, servers, tmp_path
):
    other = {**environment, "BELONG_STATE_FOLDER": str(tmp_path / "other-host")}
    assert run(other, "hold", "release").returncode == 0
    servers.bind()
    relay.delay = 0.1
    with running(environment, "worker") as one, running(other, "worker") as two:
        relay.wait_for(120, SECONDS)
        servers.fail_over()
        for process in (one, two):
            is_said(process, HELD)
        for each in (environment, other):
            is_held(each, TOOK_OVER)
            assert run(each, "hold", "release").returncode == 0
        relay.wait_for(MANY, SECONDS)
        wait_until(lambda: books(services, long_issue).get("accepted") == MANY)
    assert doubled(relay) == 0
    assert run(environment, "hold", "status").returncode == 0
