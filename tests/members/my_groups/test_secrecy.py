"""Facts about a person's groups that neither the database nor its writers can learn."""

import base64
import json
from datetime import timedelta
from itertools import pairwise

import time_machine
from sqlalchemy import select, text

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.mailer import SEALED_TO
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.seeds import GROUPS
from belong_mail.members import self_service as members_self_service
from belong_mail.members.erasure import ERASURE_COLUMN
from belong_mail.members.models import Erasure, ManageSession, Subscription
from belong_mail.members.proven import PERMIT
from tests.db_dump import dump_of, kept_of
from tests.factories import queue_issue
from tests.markers import on_postgresql, periodic_tasks
from tests.scenario import ADA

pytestmark = periodic_tasks


def test_no_copy_of_the_database_joins_the_memberships_that_are_being_erased(mine):
    """Neither while the worker is away, nor by what it leaves behind of issues that waited."""
    path = mine.sheet()
    before = kept_of(mine.services)["subscriptions"]
    mine.follow(f"{path}/erase")
    assert dump_of(mine.services)["subscriptions"] == before
    for slug in ("the-village", "lgbtq"):
        with mine.services.writing.begin() as session:
            newsletter = queue_issue(session, slug)
            session.flush()
            for member in session.scalars(
                select(Subscription).where(Subscription.group_id == newsletter.group_id)
            ):
                waiting = Delivery(
                    kind="newsletter", newsletter_id=newsletter.id, subscription_id=member.id
                )
                session.add(waiting)
    mine.worker.read_jobs()
    assert dump_of(mine.services)["subscriptions"] == []
    of_issues = select(Delivery.finished_at).where(Delivery.newsletter_id.is_not(None))
    first, second = mine.query(of_issues)
    assert first != second


def test_copies_of_the_database_that_are_compared_do_not_show_what_one_person_erased(mine):
    """A copy each hour: the rows of one person go at hours of their own, within two days."""
    slugs = ("the-village", "lgbtq", "asian", "latinx-hispanic", "women-of-color")
    ids = set(mine.join(ADA, *slugs))
    [other] = mine.join("grace@dpsk12.org", "the-village")
    mine.send_issue()
    before = kept_of(mine.services)["subscriptions"]
    mine.press(f"{mine.link()}/erase")
    mine.worker.drain()
    assert dump_of(mine.services)["subscriptions"] == before
    seen: list[set[str]] = [ids]
    with time_machine.travel(now(), tick=True) as clock:
        for _ in range(49):
            clock.shift(timedelta(hours=1))
            mine.worker.drain()
            kept = set(mine.query(select(Subscription.public_id)))
            assert other in kept
            seen.append(kept & ids)
    assert seen[-1] == set()
    vanished = [earlier != later for earlier, later in pairwise(seen)]
    assert vanished.count(True) >= 2  # all draw the same hour once in five million runs
    assert not dump_of(mine.services)["erasures"]


@on_postgresql
def test_no_lock_shows_which_memberships_are_one_persons(mine):
    """PostgreSQL keeps in each row which transaction locked it last, for all who read it."""
    path = mine.sheet()
    mine.follow(f"{path}/copy")
    mine.ask_to_move(path, "ada.new@dpsk12.org")
    mine.follow(f"{path}/erase")
    mine.worker.drain()
    assert mine.query(select(Subscription.id).where(text("subscriptions.xmax <> '0'"))) == []


def test_the_length_of_a_session_or_an_erasure_does_not_tell_its_number_of_groups(mine):
    mine.join(ADA, "the-village")
    mine.join("grace@dpsk12.org", *(each["slug"] for each in GROUPS if "is_upcoming" not in each))
    links = [mine.link(address) for address in (ADA, "grace@dpsk12.org")]
    first, second = mine.query(select(ManageSession.locked))
    assert len(first) == len(second)
    for link in links:
        mine.press(f"{link}/erase")
    mine.worker.drain()
    first, second = mine.query(select(Erasure.wrapped))
    assert len(first) == len(second)


def test_an_erasure_that_the_worker_did_not_make_deletes_nothing(mine):
    [village] = mine.join(ADA, "the-village")
    said = {"names": [village], "began": "2020-01-01T00:00:00+00:00", "seed": "x"}
    content = json.dumps(said).encode()
    with mine.services.writing.begin() as session:
        for number, wrapped in enumerate(
            (
                mine.services.sealer.seal(content, ERASURE_COLUMN),
                mine.keyring.opener.wrap(content, ERASURE_COLUMN, "another"),
            )
        ):
            session.add(Erasure(address_index=bytes([number]), wrapped=wrapped))
    mine.worker.drain()
    assert mine.query(select(Subscription.public_id)) == [village]


def test_a_list_that_the_worker_did_not_make_is_not_believed(mine):
    """An intruder in the web can seal; that must not tell them whose two memberships are."""
    ids = mine.join(ADA, "the-village") + mine.join("eve@dpsk12.org", "lgbtq")
    slip = base64.b64encode(mine.services.sealer.seal(json.dumps(ids).encode(), PERMIT)).decode()
    mine.ask_by_slip(slip, "my-copy", "erase", "change-address")
    for _ in range(3):
        mine.worker.step()
    assert mine.relay.accepted == []
    assert mine.query(select(Job.failures)) == [3, 3, 3]


def test_an_expired_permit_is_refused(mine):
    """An intruder in the web once, and kept what people opened then, can do nothing with it."""
    slip = mine.slip(mine.sheet())
    for hours, kinds in ((0.9, ("my-copy",)), (2.1, ("my-copy", "change-address", "erase"))):
        with time_machine.travel(now() + timedelta(hours=hours)):
            mine.ask_by_slip(slip, *kinds)
            mine.worker.drain()
        assert len(mine.relay.to(ADA)) == len(mine.relay.accepted) == 2
    assert (mine.rows("jobs"), mine.members("lgbtq")) == (0, 1)


def test_a_link_is_emailed_to_no_other_address_and_not_once_it_has_expired(mine):
    mine.join(ADA, "the-village")
    mine.join("grace@dpsk12.org", "the-village")
    mine.worker.drain()
    for address in (ADA, "grace@dpsk12.org"):
        mine.send("/my-groups", email=address)
    mine.worker.read_jobs()
    with mine.services.writing.begin() as session:
        adas, graces = session.scalars(select(Delivery).order_by(Delivery.id))
        adas.sealed_to = mine.services.sealer.seal(b"mallory@dpsk12.org", SEALED_TO)
        graces.created_at -= members_self_service.LINK_MAX_AGE
    mine.worker.drain()
    assert [each.recipient for each in mine.relay.accepted] == [ADA]
    assert mine.query(select(Delivery.state).order_by(Delivery.id))[1] == State.EXPIRED
