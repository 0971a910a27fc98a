"""A large issue is planned in steps; whoever joins, leaves or crashes meanwhile, each gets one."""

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.delivery.models import Chunk
from belong_mail.mail.address import normalise
from belong_mail.members import erasure
from belong_mail.members.models import Subscription
from belong_mail.newsletters import planning, release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import outbox
from belong_mail.worker.loop import Worker
from tests.delivery.factories import books
from tests.factories import group_named, make_member, make_members
from tests.markers import on_both
from tests.overlapping import do_twice_at_once
from tests.servers.smtp import Server

pytestmark = on_both("steps of planning and their locks")

MEMBERS = 10
STEP = 3


def begin(services: Services, keyring: Keyring, members: int = MEMBERS) -> int:
    """Queue an issue in small steps, and take the first."""
    with services.writing.begin() as session:
        make_members(session, keyring, members)
        group = group_named(session, "the-village")
        issue = newsletters.draft(session, group, "This month with us", "Hello, everybody.")
        newsletters.queue(session, issue, at_once=STEP)
        return issue.id


def plan(services: Services, keyring: Keyring) -> bool:
    with services.writing.begin() as session:
        return planning.plan_more(keyring.opener, session, STEP)


def plan_all(services: Services, keyring: Keyring) -> None:
    while plan(services, keyring):
        pass


@pytest.fixture
def worker(worker: Worker) -> Worker:
    """A worker that takes small steps."""
    worker.planned_at_once = STEP
    worker.drain()
    return worker


def send_alone(worker: Worker) -> None:
    """Send what is planned; nothing more is."""
    while worker.engine.work():
        pass
    worker.engine.finish()


def reached(relay: Server) -> list[str]:
    return sorted(each.recipient for each in relay.accepted)


def names(*numbers: int) -> list[str]:
    return sorted(f"member{number}@dpsk12.org" for number in numbers)


def member(session: Session, number: int) -> Subscription:
    """Find the member who joined as the so-manieth."""
    ids = session.scalars(select(Subscription.id).order_by(Subscription.id)).all()
    return session.get_one(Subscription, ids[number])


def test_each_step_goes_on_behind_the_last_and_leaves_no_gap(
    services: Services, keyring: Keyring
) -> None:
    issue = begin(services, keyring)
    assert books(services, issue) == {"recipients": STEP, "queued": STEP}
    plan_all(services, keyring)
    with services.reading.begin() as session:
        found = session.execute(select(Chunk.low, Chunk.high, Chunk.planned).order_by(Chunk.id))
        lows, highs, planned = zip(*found, strict=True)
        last = session.scalars(select(Subscription.id).order_by(Subscription.id.desc())).first()
    assert planned == (3, 3, 3, 1)
    assert lows == (1, *(high + 1 for high in highs[:-1]))
    assert highs[-1] == last
    assert not plan(services, keyring)


def test_everybody_gets_one_copy_of_an_issue_that_is_planned_while_it_is_sent(
    worker: Worker, services: Services, keyring: Keyring, relay: Server
) -> None:
    issue = begin(services, keyring)
    worker.drain()
    assert books(services, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert reached(relay) == names(*range(MEMBERS))


def test_who_joins_or_leaves_meanwhile_gets_nothing_and_who_comes_back_one(
    worker: Worker, services: Services, keyring: Keyring, relay: Server
) -> None:
    issue = begin(services, keyring)
    with services.writing.begin() as session:
        member(session, 4).ended_at = member(session, 5).ended_at = now()
        member(session, 7).ended_at = now()
        make_member(session, keyring, "late@dpsk12.org")
    plan_all(services, keyring)
    with services.writing.begin() as session:
        member(session, 5).ended_at = member(session, 7).ended_at = None
    worker.drain()
    assert reached(relay) == names(0, 1, 2, 3, 5, 6, 7, 8, 9)
    assert books(services, issue) == {"recipients": 9, "accepted": 9}


def test_a_step_that_is_not_committed_is_taken_again(
    worker: Worker, services: Services, keyring: Keyring, relay: Server
) -> None:
    issue = begin(services, keyring)

    def fail(connection: Connection) -> None:
        if connection.exec_driver_sql("SELECT COUNT(*) FROM chunks").scalar() == 2:
            event.remove(services.engine, "commit", fail)
            raise OperationalError("COMMIT", None, ConnectionError())

    event.listen(services.engine, "commit", fail)
    with pytest.raises(OperationalError):
        worker.drain()
    worker.drain()
    assert books(services, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert reached(relay) == names(*range(MEMBERS))


def test_two_workers_do_not_take_the_same_step(services: Services, keyring: Keyring) -> None:
    issue = begin(services, keyring)
    do_twice_at_once(services, lambda session: planning.plan_more(keyring.opener, session, STEP))
    plan_all(services, keyring)
    assert books(services, issue) == {"recipients": MEMBERS, "queued": MEMBERS}


def test_an_issue_that_is_paused_while_it_is_planned_waits_and_then_goes_on(
    worker: Worker, services: Services, keyring: Keyring, relay: Server
) -> None:
    issue = begin(services, keyring)
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.pause)
    worker.drain()
    assert reached(relay) == []
    assert books(services, issue) == {"recipients": MEMBERS, "queued": MEMBERS}
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.resume)
    worker.drain()
    assert reached(relay) == names(*range(MEMBERS))


def test_an_issue_that_is_stopped_while_it_is_planned_goes_to_nobody_else(
    worker: Worker, services: Services, keyring: Keyring, relay: Server
) -> None:
    issue = begin(services, keyring)
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.pause)
        release.act(session, session.get_one(Newsletter, issue), release.stop)
    worker.drain()
    assert reached(relay) == []
    assert books(services, issue) == {"recipients": MEMBERS, "withdrawn": MEMBERS}


def test_an_issue_is_not_over_before_it_is_planned_and_a_retired_group_stops_it(
    worker: Worker, services: Services, keyring: Keyring
) -> None:
    issue = begin(services, keyring)
    send_alone(worker)
    with services.writing.begin() as session:
        newsletter = session.get_one(Newsletter, issue)
        status = release.issue_status(session, newsletter)
        assert (status.state, status.share) == ("sending", 0.0)
        release.retire(session, newsletter.group)
        assert release.issue_status(session, newsletter).state == "stopped"
    plan_all(services, keyring)
    worker.drain()
    assert books(services, issue) == {
        "recipients": MEMBERS,
        "accepted": STEP,
        "withdrawn": MEMBERS - STEP,
    }


def test_who_is_being_erased_is_left_out_of_the_steps_that_follow(
    worker: Worker, services: Services, keyring: Keyring, relay: Server
) -> None:
    """Its worker has already looked for whom to leave out, and does so once for an issue."""
    issue = begin(services, keyring)
    plan(services, keyring)
    send_alone(worker)
    identity = normalise("member8@dpsk12.org")
    with services.writing.begin() as session:
        names_of = {member(session, 8).public_id}
        erasure.start_erasure(session, keyring.opener, keyring.index, identity, names_of)
        assert session.scalar(select(Subscription.id).where(Subscription.public_id.in_(names_of)))
    worker.drain()
    assert reached(relay) == names(*(set(range(MEMBERS)) - {8}))
    assert books(services, issue) == {"recipients": MEMBERS - 1, "accepted": MEMBERS - 1}


def test_a_copy_of_the_database_made_while_an_issue_is_planned_has_it_paused(
    worker: Worker, services: Services, keyring: Keyring
) -> None:
    issue = begin(services, keyring)
    send_alone(worker)
    with services.writing.begin() as session:
        assert outbox.doubt_copies(session, None) == 1
        assert session.get_one(Newsletter, issue).paused_at is not None


def test_only_members_of_the_group_are_planned_however_their_rows_stand_between(
    services: Services, keyring: Keyring
) -> None:
    with services.writing.begin() as session:
        for number in range(MEMBERS):
            slug = "asian" if number % 2 else "the-village"
            make_member(session, keyring, f"member{number}@dpsk12.org", slug)
    issue = begin(services, keyring, 0)
    plan_all(services, keyring)
    assert books(services, issue) == {"recipients": MEMBERS // 2, "queued": MEMBERS // 2}
