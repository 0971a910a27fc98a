"""What the database, or whoever writes into it, cannot learn about a person's groups."""

import base64
import json
from collections.abc import Callable

from sqlalchemy import select, text

from belong_mail.db import Base, now
from belong_mail.memberships.models import Sheet
from belong_mail.memberships.receiving import SLIP, TO
from belong_mail.parts import Parts
from belong_mail.sending.models import Delivery, State
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.service import SEALED
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.factories import queue_issue
from tests.people import Visitor
from tests.servers.smtp import Server

ADA = "ada@dpsk12.org"
Join = Callable[..., list[str]]
Link = Callable[[str], str]


def everything_in(parts: Parts, but: str) -> str:
    """Return all values of all tables but one, as text."""
    with parts.reading.begin() as session:
        return "\n".join(
            repr(tuple(row))
            for table in Base.metadata.tables
            if table != but
            for row in session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - our tables
        )


def test_the_database_alone_cannot_join_two_memberships(
    join: Join, link: Link, parts: Parts
) -> None:
    ids = join(ADA, "the-village", "lgbtq")
    secret = link(ADA).rpartition("/")[2]
    rest = everything_in(parts, but="subscriptions")
    assert secret not in rest
    assert ADA not in rest
    assert not any(each in rest for each in ids)


def test_no_copy_of_the_database_joins_the_memberships_that_are_being_erased(
    join: Join, link: Link, visitor: Visitor, parts: Parts, worker: Worker
) -> None:
    """Neither while the worker is away, nor by what it leaves behind of issues that waited."""
    join(ADA, "the-village", "lgbtq")
    path = link(ADA)
    before = dump_of(parts)["subscriptions"]
    visitor.press(f"{path}/erase")
    assert dump_of(parts)["subscriptions"] == before
    for slug in ("the-village", "lgbtq"):
        with parts.writing.begin() as session:
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
    assert dump_of(parts)["subscriptions"] == []
    with parts.reading.begin() as session:
        of_issues = select(Delivery.finished_at).where(Delivery.newsletter_id.is_not(None))
        first, second = session.scalars(of_issues)
    assert first != second


def test_the_length_of_a_list_does_not_tell_how_many_groups_it_holds(
    join: Join, link: Link, parts: Parts
) -> None:
    join(ADA, "the-village")
    join("grace@dpsk12.org", "the-village", "lgbtq", "asian", "latinx-hispanic")
    link(ADA)
    link("grace@dpsk12.org")
    with parts.reading.begin() as session:
        lengths = {len(locked) for locked in session.scalars(select(Sheet.locked))}
    assert len(lengths) == 1


def test_a_list_that_the_worker_did_not_make_is_not_believed(
    join: Join, parts: Parts, worker: Worker, relay: Server
) -> None:
    """Whoever breaks into the web can seal; that must not tell them whose two memberships are."""
    ids = join(ADA, "the-village") + join("mallory@dpsk12.org", "lgbtq")
    slip = base64.b64encode(parts.sealer.seal(json.dumps(ids).encode(), SLIP)).decode()
    wanted = {"slip": slip, "language": "en", "new": "mallory2@dpsk12.org"}
    sealed = parts.sealer.seal(json.dumps(wanted).encode(), SEALED)
    with parts.writing.begin() as session:
        for kind in ("my-copy", "erase", "change-address"):
            session.add(Request(kind=kind, sealed=sealed))
    for _ in range(3):
        worker.step()
    assert relay.accepted == []
    with parts.reading.begin() as session:
        assert {each.failures for each in session.scalars(select(Request))} == {3}


def test_a_link_is_not_mailed_to_another_address_than_it_was_made_for(
    join: Join, visitor: Visitor, parts: Parts, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    visitor.send("/my-groups", email=ADA)
    worker._read_requests()
    with parts.writing.begin() as session:
        mail = session.scalars(select(Delivery)).one()
        mail.sealed_to = parts.sealer.seal(b"mallory@dpsk12.org", TO)
    worker.drain()
    assert relay.accepted == []
    with parts.reading.begin() as session:
        assert session.scalars(select(Delivery.state)).one() == State.FAILED


def test_a_link_that_waited_longer_than_it_works_is_not_mailed(
    join: Join, visitor: Visitor, parts: Parts, worker: Worker, relay: Server
) -> None:
    join(ADA, "the-village")
    worker.drain()
    visitor.send("/my-groups", email=ADA)
    worker._read_requests()
    with parts.writing.begin() as session:
        session.scalars(select(Sheet)).one().expires_at = now()
    worker.drain()
    assert relay.accepted == []
    with parts.reading.begin() as session:
        assert session.scalars(select(Delivery.state)).one() == State.EXPIRED
