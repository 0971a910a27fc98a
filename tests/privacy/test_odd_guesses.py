"""A guess that is sealed with odd words tells no more than an honest one, or it is heard.

Whoever holds the web seals what they like. A job that fails after the worker has looked an address
up, and only where that is known, would tell of it without an email.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from belong_mail.core import jobs
from belong_mail.core.db import Base, now
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import IMPORT_DAY_RATE, WorkerLimit, remaining
from belong_mail.members.import_tasks import MAX_FAILURES
from belong_mail.members.imports import ASKED_TODAY, BATCH_SIZE
from belong_mail.ops.grants import WEB
from tests.counting import statements_of
from tests.factories import group_named
from tests.markers import on_sqlite
from tests.privacy.doors import seal_list
from tests.scenario import VILLAGE, Scenario

pytestmark = on_sqlite
KNOWN, UNKNOWN = "ada@dpsk12.org", "ben@dpsk12.org"
# By the kind of job, what an honest page seals besides the address.
DOORS: dict[str, dict[str, Any]] = {
    "join": {"language": "en", "first_name": "", "answers": [], "source": "x"},
    "interest": {"language": "en", "first_name": "", "answers": [], "source": "x"},
    "my-groups": {"language": "en"},
    "staff-code": {"language": "en", "nonce": "x", "source": "x"},
    "sign-in": {"language": "en", "browser_hash": "00" * 32, "source": "x", "known_as": ""},
}
ODD: tuple[Any, ...] = (None, [], "\ud800", "zz")
SPELLINGS = ("{}", " {}", "{}\n", "{}\ud800")


@pytest.fixture
def scenario(scenario) -> Scenario:
    """A member who leads the group as well."""
    scenario.enter(KNOWN)
    scenario.invite_lead(KNOWN)
    with scenario.services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        group.allows_personal_addresses = True
        group.established_at = now() - timedelta(days=1)  # people who wait are told by now
    return scenario


def seen(scenario) -> dict[str, Any]:
    """Count what the web may read, and list its jobs: a rate limit of the trail is no answer."""
    with scenario.services.reading.begin() as session:
        rows = {
            name: session.scalar(select(func.count()).select_from(Base.metadata.tables[name]))
            for name in WEB.keys() - {"alembic_version", "audit_entries", "operator_releases"}
        }
        return {**rows, "failed": list(session.scalars(select(Job.failures)))}


def guess(scenario, door: str, said: dict[str, Any]) -> dict[str, Any]:
    """Let the worker read a job with fresh limits; return what changed for who sees the rows."""
    with scenario.services.writing.begin() as session:
        session.execute(delete(WorkerLimit))
        session.execute(delete(Job))
        group = group_named(session, VILLAGE)
        where = {"group": group.public_id} if door in {"join", "interest", "staff-code"} else {}
        words = json.dumps({**said, **where})
        sealed = scenario.services.sealer.seal(words.encode(), sealed_for(door))
        session.add(Job(kind=door, group_id=group.id, sealed=sealed))
    before = seen(scenario)
    scenario.worker.drain()
    after = seen(scenario)
    return {name: after[name] for name in after if after[name] != before.get(name)}


@pytest.mark.parametrize("language", [None, [], "\ud800"])
def test_a_list_in_an_odd_language_fails_for_nobody_alone(language, scenario):
    """It failed for a stranger, uncounted, and was read for a member."""
    for address in (KNOWN, UNKNOWN):
        with scenario.services.writing.begin() as session:
            seal_list(scenario, session, [address], language)
        scenario.worker.drain()
        assert scenario.rows("import_batches") == 0
    assert len(scenario.relay.to(UNKNOWN)) == 1
    with scenario.services.reading.begin() as session:
        used = remaining(session, ASKED_TODAY, IMPORT_DAY_RATE, now())
    assert used == IMPORT_DAY_RATE.burst - 2 * BATCH_SIZE


@pytest.mark.parametrize("odd", [5, "x" * 255], ids=["number", "long"])
def test_a_list_with_an_odd_address_looks_nobody_up_and_is_counted(odd, scenario):
    """It was read until the odd one, and taken back with its count; ids that are gone told whom."""
    with scenario.services.writing.begin() as session:
        seal_list(scenario, session, [UNKNOWN, odd])
    with statements_of(scenario.engine) as seen:
        scenario.worker.drain()
    assert not [each for each in seen if "INSERT INTO subscriptions" in each]
    with scenario.services.reading.begin() as session:
        used = remaining(session, ASKED_TODAY, IMPORT_DAY_RATE, now())
        assert session.scalar(jobs.HAS_FAILED)
    assert used == IMPORT_DAY_RATE.burst - MAX_FAILURES * BATCH_SIZE


@pytest.mark.parametrize("door", DOORS)
def test_a_guess_with_odd_words_reveals_nothing_unless_the_guessed_person_is_emailed(
    door, scenario
):
    honest, at_first = DOORS[door], len(scenario.relay.to(KNOWN))
    odd = [(name, value) for name in honest for value in ODD]
    cases = [(spelling, honest) for spelling in SPELLINGS]
    cases += [("{}", honest | {name: value}) for name, value in odd]
    cases += [(" {}", honest | {name: value}) for name, value in odd if value in ([], "\ud800")]
    silent = []
    for spelling, words in cases:
        told = len(scenario.relay.to(KNOWN))
        known, unknown = (
            guess(scenario, door, {"address": spelling.format(each), **words})
            for each in (KNOWN, UNKNOWN)
        )
        if known != unknown and len(scenario.relay.to(KNOWN)) == told:
            silent.append((spelling, words, known, unknown))
    assert silent == []
    assert len(scenario.relay.to(KNOWN)) > at_first
