"""Rows of version 1.0 may have an address with a plus tag, which not all servers deliver."""

from datetime import timedelta

import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.delivery import outbox
from belong_mail.delivery.models import Delivery
from belong_mail.members import erasure, proven
from belong_mail.members.jobs import NeverMail
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import ADDRESS_COLUMN, row_of
from tests.browser_client import text_of
from tests.factories import queue_issue
from tests.inbound.mail import complaint, hand_back
from tests.scenario import ADA, VILLAGE

TAGGED = "ada+x@dpsk12.org"


def tag(scenario) -> Subscription:
    """Keep the only membership's address as it was typed, as 1.0 did."""
    with scenario.services.writing.begin() as session:
        held = session.scalars(select(Subscription)).one()
        place = row_of(held.public_id, held.group.public_id)
        opener = scenario.keyring.opener
        held.wrapped_address = opener.wrap(TAGGED.encode(), ADDRESS_COLUMN, place)
        return held


def test_a_member_who_confirms_gets_newsletters_at_the_mailbox_that_confirmed(scenario):
    scenario.confirm_link()
    tag(scenario)
    with time_machine.travel(now() + timedelta(hours=1), tick=True):
        scenario.enter()
        scenario.do(queue_issue)
        assert scenario.subjects()[-1] == "This month with us"


def test_the_link_to_my_groups_goes_to_the_mailbox(scenario):
    scenario.enter()
    tag(scenario)
    scenario.visitor.send("/my-groups", email=TAGGED)
    scenario.worker.drain()
    assert "my-groups" in text_of(scenario.mails(ADA)[-1])


def test_the_office_takes_out_no_one_unheard(scenario, office):
    scenario.confirm_link()
    tag(scenario)
    office.send("/office/addresses", group=VILLAGE, email=ADA, what="remove")
    assert scenario.subjects()[-1] == "You’re no longer in a group"


def test_a_link_that_was_emailed_by_1_0_still_refuses_all_email(scenario):
    scenario.confirm_link()
    held = tag(scenario)
    secret = scenario.keyring.index.link_secret(proven.NEVER, f"{held.public_id}/{TAGGED}")
    with scenario.services.writing.begin() as session:
        NeverMail(secret).ask(session, scenario.services.sealer, subscription_id=held.id)
    scenario.worker.drain()
    assert scenario.rows("suppressions") == 1


def test_a_complaint_about_a_confirmation_of_1_0_still_refuses_all_email(scenario):
    asked = scenario.ask()
    tag(scenario)
    names = scenario.worker.work_in(None).mailer.names
    [delivery] = scenario.query(select(Delivery.id))
    path, message_id = names.return_path(delivery), names.message_id(delivery, TAGGED)
    assert message_id != asked["Message-ID"]
    hand_back(scenario.services, path, complaint(path, message_id=message_id))
    scenario.worker.drain()
    assert scenario.rows("suppressions") == 1


def test_an_erasure_that_1_0_began_still_stops_all_email(scenario):
    scenario.enter()
    name = erasure.name_of(tag(scenario))
    with scenario.services.writing.begin() as session:
        keys = scenario.keyring
        erasure.start_erasure(session, keys.opener, keys.index, TAGGED, {name})
        welcomed = session.scalars(select(Delivery).where(Delivery.kind == "welcome-member")).one()
        outbox.post(session, "welcome-member", subscription_id=welcomed.subscription_id)
    scenario.worker.drain()
    assert scenario.mails(TAGGED) == []
