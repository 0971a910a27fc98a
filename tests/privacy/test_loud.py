"""Whatever the web writes, a guess at a member emails or alarms somebody, and is counted."""

from datetime import timedelta

import pytest
import time_machine

from belong_mail.core import jobs
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.rate_limits import (
    JOBS_RATE,
    UNUSUAL_LOOKUPS,
    Limit,
    WorkerLimit,
    record_use,
    remaining,
)
from belong_mail.core.services import Services
from belong_mail.ops.grants import WEB
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.markers import on_both
from tests.scenario import Scenario
from tests.servers.smtp import Server

pytestmark = on_both("rights of the web's role")

# Seconds since 1970.
FAR = 9e9
OPERATOR = "operator@example.org"


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    return Scenario(visitor, worker, relay, services, keyring)


@pytest.mark.parametrize(
    "settings", [{"BELONG_ALERT_ADDRESS": OPERATOR, "BELONG_SEND_RATE": "600"}]
)
def test_no_limit_of_the_webs_holds_back_an_email_or_an_alarm(scenario: Scenario) -> None:
    """It may write any key into its table, and knows those of the worker's that are no hashes."""
    assert "worker_limits" not in WEB
    scenario.ask()
    with scenario.services.writing.begin() as session:
        session.query(WorkerLimit).filter_by(key=jobs.FLOOD).one()
        for key in (*(row.key for row in session.query(WorkerLimit)), b"alert/unusual_lookups"):
            session.merge(Limit(key=key, used_until=FAR))
    with scenario.services.writing.begin() as session:
        record_use(session, jobs.NOTICE, UNUSUAL_LOOKUPS, now(), UNUSUAL_LOOKUPS.burst)
    with time_machine.travel(now() + timedelta(minutes=2), tick=False):
        before = requests_left(scenario)
        scenario.ask("ben@dpsk12.org")
        assert len(scenario.relay.to(OPERATOR)) == 1
        assert requests_left(scenario) < before


def requests_left(scenario: Scenario) -> int:
    """Return how many more requests within the hour are no flood."""
    with scenario.services.reading.begin() as session:
        return remaining(session, jobs.FLOOD, JOBS_RATE, now())
