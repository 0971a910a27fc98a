"""From each released step, made by its own code: what waits leaves once, and all is readable."""

from collections import Counter

from alembic.script import ScriptDirectory
from sqlalchemy import select

from belong_mail.accounts import proven
from belong_mail.accounts.models import Account
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery
from belong_mail.members.models import Subscription, WaitlistEntry
from belong_mail.members.wrapped_fields import address_of
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import schema
from belong_mail.worker.loop import make_worker
from tests.browser_client import link_to
from tests.delivery.factories import books
from tests.markers import on_both
from tests.migrations import make
from tests.migrations.conftest import RELEASED, assert_as_the_models_say

pytestmark = on_both("migrations")


def test_waiting_email_of_a_released_database_leaves_once_and_its_requests_are_read(
    upgraded, services, keyring, relay
):
    for _ in range(2):
        worker = make_worker(services, keyring)
        worker.drain()
        assert worker.held_because is None
        worker.engine.close()
    everyone = (*make.MEMBERS, make.READ, make.UNREAD, make.LEAD, make.WAITING, make.OFFICE)
    assert Counter(one.recipient for one in relay.accepted) == dict.fromkeys(everyone, 1)
    for address in make.MEMBERS:
        [mail] = relay.to(address)
        assert mail["Subject"] == "Begun"
        assert "library" in str(mail.get_body(("plain",)))
    for address in (make.READ, make.UNREAD):
        [mail] = relay.to(address)
        page = upgraded.test_client().get(link_to(mail, "confirm"))
        assert page.status_code == 200
    with services.reading.begin() as session:
        begun, planned = session.scalars(select(Newsletter).order_by(Newsletter.id))
        assert planned.queued_at is None
        assert planned.due_at is not None
        assert session.scalars(select(Job)).all() == []
        assert {one.state for one in session.scalars(select(Delivery))} == {"accepted"}
    assert books(services, begun.id) == {"recipients": 3, "accepted": 3}


def test_a_released_database_becomes_what_the_models_say_and_what_is_wrapped_opens(
    services, keyring
):
    assert_as_the_models_say(services.engine)
    with services.reading.begin() as session:
        members = session.scalars(select(Subscription).order_by(Subscription.id))
        assert [address_of(keyring, one) for one in members] == [*make.MEMBERS, make.READ]
        [lead] = session.scalars(select(Account))
        assert proven.address_of(keyring, lead) == make.LEAD
        [entry] = session.scalars(select(WaitlistEntry))
        assert entry.group.slug == make.UPCOMING


def test_each_step_has_a_database():
    """`python -m tests.migrations.make` makes that of the newest."""
    steps = ScriptDirectory(str(schema.FOLDER)).walk_revisions()
    assert set(RELEASED) == {step.revision for step in steps}
