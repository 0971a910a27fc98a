"""Facts about a person's groups that neither the database nor its writers can learn."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import time_machine
from sqlalchemy import func, select, text

from belong_mail.core.db import Base, now
from belong_mail.core.decryption import Keyring
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.mailer import SEALED_TO
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.seeds import GROUPS
from belong_mail.members import self_service as members_self_service
from belong_mail.members.erasure import ERASURE_COLUMN
from belong_mail.members.models import Erasure, ManageSession, Subscription
from belong_mail.members.self_service_tasks import PERMIT
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.db_dump import dump_of, kept_of
from tests.factories import members_of, queue_issue
from tests.markers import periodic_tasks
from tests.servers.smtp import Server

pytestmark = periodic_tasks

ADA, MALLORY = "ada@dpsk12.org", "mallory@dpsk12.org"
Join = Callable[..., list[str]]
Link = Callable[[str], str]


def everything_in(services: Services, but: str) -> str:
    """Return all values of all tables but one, as text."""
    with services.reading.begin() as session:
        return "\n".join(
            repr(tuple(row))
            for table in Base.metadata.tables
            if table != but
            for row in session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - our tables
        )


def test_the_database_alone_cannot_join_two_memberships(
    join: Join, link: Link, services: Services
) -> None:
    ids = join(ADA, "the-village", "lgbtq")
    secret = link(ADA).rpartition("/")[2]
    rest = everything_in(services, but="subscriptions")
    assert secret not in rest
    assert ADA not in rest
    assert not any(each in rest for each in ids)


def test_no_copy_of_the_database_joins_the_memberships_that_are_being_erased(
    join: Join, link: Link, visitor: Visitor, services: Services, worker: Worker
) -> None:
    """Neither while the worker is away, nor by what it leaves behind of issues that waited."""
    join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    before = kept_of(services)["subscriptions"]
    visitor.follow(f"{path}/erase")
    assert dump_of(services)["subscriptions"] == before
    for slug in ("the-village", "lgbtq"):
        with services.writing.begin() as session:
            newsletter = queue_issue(session, slug)
            session.flush()
            for member in session.scalars(
                select(Subscription).where(Subscription.group_id == newsletter.group_id)
            ):
                waiting = Delivery(
                    kind="newsletter", newsletter_id=newsletter.id, subscription_id=member.id
                )
                session.add(waiting)
    worker._read_requests()
    assert dump_of(services)["subscriptions"] == []
    with services.reading.begin() as session:
        of_issues = select(Delivery.finished_at).where(Delivery.newsletter_id.is_not(None))
        first, second = session.scalars(of_issues)
    assert first != second


def test_copies_of_the_database_that_are_compared_do_not_show_what_one_person_erased(
    join: Join, link: Link, visitor: Visitor, services: Services, worker: Worker
) -> None:
    """A copy each hour: the rows of one person go at hours of their own, within two days."""
    slugs = ("the-village", "lgbtq", "asian", "latinx-hispanic", "women-of-color")
    ids = set(join(ADA, *slugs))
    [other] = join("grace@dpsk12.org", "the-village")
    before = kept_of(services)["subscriptions"]
    visitor.press(f"{link(ADA)}/erase")
    worker.drain()
    assert dump_of(services)["subscriptions"] == before
    seen: list[set[str]] = [ids]
    with time_machine.travel(now(), tick=True) as clock:
        for _ in range(49):
            clock.shift(timedelta(hours=1))
            worker.drain()
            with services.reading.begin() as session:
                kept = set(session.scalars(select(Subscription.public_id)))
            assert other in kept
            seen.append(kept & ids)
    assert seen[-1] == set()
    vanished = [len(earlier - later) for earlier, later in pairwise(seen)]
    assert len([number for number in vanished if number]) >= 3
    assert not dump_of(services)["erasures"]


def test_the_length_of_what_is_being_erased_does_not_tell_how_much_it_is(
    join: Join, link: Link, visitor: Visitor, services: Services, worker: Worker
) -> None:
    join(ADA, "the-village")
    join("grace@dpsk12.org", *(each["slug"] for each in GROUPS if "is_upcoming" not in each))
    for address in (ADA, "grace@dpsk12.org"):
        visitor.press(f"{link(address)}/erase")
    worker.drain()
    with services.reading.begin() as session:
        lengths = [len(wrapped) for wrapped in session.scalars(select(Erasure.wrapped))]
    assert len(lengths) == 2
    assert len(set(lengths)) == 1


def test_an_erasure_that_the_worker_did_not_make_deletes_nothing(
    join: Join, services: Services, worker: Worker, keyring: Keyring
) -> None:
    [village] = join(ADA, "the-village")
    said = {"names": [village], "began": "2020-01-01T00:00:00+00:00", "seed": "x"}
    content = json.dumps(said).encode()
    with services.writing.begin() as session:
        for number, wrapped in enumerate(
            (
                services.sealer.seal(content, ERASURE_COLUMN),
                keyring.opener.wrap(content, ERASURE_COLUMN, "another"),
            )
        ):
            session.add(Erasure(address_index=bytes([number]), wrapped=wrapped))
    worker.drain()
    with services.reading.begin() as session:
        assert session.scalars(select(Subscription.public_id)).all() == [village]


def test_the_length_of_a_list_does_not_tell_how_many_groups_it_holds(
    join: Join, link: Link, services: Services
) -> None:
    join(ADA, "the-village")
    join("grace@dpsk12.org", "the-village", "lgbtq", "asian", "latinx-hispanic")
    link(ADA)
    link("grace@dpsk12.org")
    with services.reading.begin() as session:
        lengths = {len(locked) for locked in session.scalars(select(ManageSession.locked))}
    assert len(lengths) == 1


def test_a_list_that_the_worker_did_not_make_is_not_believed(
    join: Join, services: Services, worker: Worker, relay: Server
) -> None:
    """An intruder in the web can seal; that must not tell them whose two memberships are."""
    ids = join(ADA, "the-village") + join("mallory@dpsk12.org", "lgbtq")
    slip = base64.b64encode(services.sealer.seal(json.dumps(ids).encode(), PERMIT)).decode()
    wanted = {"slip": slip, "language": "en", "new": "mallory2@dpsk12.org"}
    with services.writing.begin() as session:
        for kind in ("my-copy", "erase", "change-address"):
            sealed = services.sealer.seal(json.dumps(wanted).encode(), sealed_for(kind))
            session.add(Job(kind=kind, sealed=sealed))
    for _ in range(3):
        worker.step()
    assert relay.accepted == []
    with services.reading.begin() as session:
        assert {each.failures for each in session.scalars(select(Job))} == {3}


def test_a_slip_is_refused_when_its_time_is_over(
    join: Join, link: Link, services: Services, worker: Worker, relay: Server
) -> None:
    """An intruder in the web once, and kept what people opened then, can do nothing with it."""
    join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    with services.reading.begin() as session:
        slip = members_self_service.open_session(session, path.rpartition("/")[2]).permit
    wanted = {"slip": base64.b64encode(slip).decode(), "language": "en", "new": MALLORY}
    typed = json.dumps(wanted).encode()
    for hours, kinds in ((0.9, ("my-copy",)), (2.1, ("my-copy", "change-address", "erase"))):
        with time_machine.travel(now() + timedelta(hours=hours)):
            with services.writing.begin() as session:
                for kind in kinds:
                    asked = services.sealer.seal(typed, sealed_for(kind))
                    session.add(Job(kind=kind, sealed=asked))
            worker.drain()
        assert len(relay.to(ADA)) == len(relay.accepted) == 2
    with services.reading.begin() as session:
        assert session.scalar(select(func.count(Job.id))) == 0
        assert members_of(session, "lgbtq") == 1


def test_a_link_is_not_mailed_to_another_address_than_it_was_made_for(
    join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    visitor.send("/my-groups", email=ADA)
    worker._read_requests()
    with services.writing.begin() as session:
        mail = session.scalars(select(Delivery)).one()
        mail.sealed_to = services.sealer.seal(b"mallory@dpsk12.org", SEALED_TO)
    worker.drain()
    assert [each.recipient for each in relay.accepted] == [ADA]


def test_a_link_that_waited_longer_than_it_works_is_not_mailed(
    join: Join, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    worker.drain()
    visitor.send("/my-groups", email=ADA)
    worker._read_requests()
    with services.writing.begin() as session:
        session.scalars(select(Delivery)).one().created_at -= members_self_service.LINK_MAX_AGE
    worker.drain()
    assert relay.accepted == []
    with services.reading.begin() as session:
        assert session.scalars(select(Delivery.state)).one() == State.EXPIRED
