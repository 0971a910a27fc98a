"""A member gets a copy of what is held, or has all of it erased."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from sqlalchemy import insert, select, update

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import KIND, MESSAGE_COLUMN
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery import claims, outbox, results
from belong_mail.delivery.models import Delivery, State
from belong_mail.members import erasure
from belong_mail.members.models import (
    AddressChange,
    Erasure,
    ManageSession,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.self_service_tasks import MAX_MESSAGE_OCTETS, MAX_MESSAGES, messages_of
from tests.browser_client import html_of, link_to, read, text_of
from tests.factories import queue_issue
from tests.markers import on_both, on_postgresql, periodic_tasks
from tests.scenario import ADA, drain_in

pytestmark = periodic_tasks

GRACE = "grace@dpsk12.org"


def later(mine) -> None:
    """Let two days pass: what was erased at once for the person is gone from the database too."""
    drain_in(mine.worker, days=2, minutes=2)


@on_both("journeys")
def test_the_copy_says_all_that_is_held_and_goes_to_the_member_alone(mine):
    mine.visitor.join("latinx-hispanic", ADA, first_name="Ada")
    mine.press(link_to(mine.mails()[0], "confirm"))
    mine.worker.drain()
    mine.visitor.join("asian", ADA)
    mine.worker.drain()
    [village] = mine.join(ADA, "the-village")
    mine.join(GRACE, "lgbtq")
    path = mine.link()
    day = str((now() + timedelta(9)).date())
    mine.press(f"{path}/pause", membership=village, until=day)
    mine.press(f"{path}/remind", membership=village, remind="yes")
    asked = mine.visitor.choose(mine.open(path).text, "Email me a copy")
    assert "We’re emailing you the copy." in mine.open(asked.location).text
    words = text_of(mine.mails()[-1])
    assert ADA in words
    assert "First name: Ada" in words
    assert "Language: English" in words
    assert "Paused until" in words
    assert words.count("Gets an email before meetings") == 1
    assert "Not confirmed yet" in words
    assert "The Village" in words
    assert "LGBTQ" not in words
    assert mine.relay.to(GRACE) == []
    assert ADA in html_of(mine.relay.to(ADA)[-1])


def test_the_copy_says_that_a_membership_ended_by_bounces_and_not_that_its_member_left(mine):
    path = mine.sheet("the-village", "asian")
    with mine.services.writing.begin() as session:
        [member] = session.scalars(
            select(Subscription).where(Subscription.group.has(slug="the-village"))
        )
        member.ended_at, member.is_unreachable = now(), True
    for _ in range(5):
        mine.press(f"{path}/copy")
    assert len(mine.mails()) == 1 + 3, "more wait for the next day"
    for words in (text_of(mine.mails()[-1]), html_of(mine.relay.to(ADA)[-1])):
        assert "Ended because our emails to you bounced: " in words
        assert "Left: " not in words


def test_the_pages_of_erasing_say_the_true_time_also_when_they_are_opened_later(mine):
    path, start = mine.sheet(), now()
    zone = mine.services.settings.timezone
    until = mine.query(select(ManageSession))[0].expires_at
    assert read(i18n.format_time(until, "en", zone)) in mine.open(f"{path}/erase").text
    done = mine.follow(f"{path}/erase?lang=es").text
    [english] = re.findall(r'href="(/my-groups/deleted[^"]+)"[^>]*lang="en"', done)
    ends = [start + timedelta(days=2, hours=each) for each in (1, 2)]
    assert any(read(i18n.format_date(each, "es", zone)) in done for each in ends)
    with time_machine.travel(start + timedelta(hours=24)):
        later_on = mine.open(unescape(english)).text
        assert any(read(i18n.format_date(each, "en", zone)) in later_on for each in ends)
        for old in (path, f"{path}/erase"):
            gone = mine.open(old)
            assert gone.status_code == 404
            assert "two days" in gone.text
    assert mine.open(f"/my-groups/deleted?by={10**20}").status_code == 200


@on_both("foreign keys")
def test_erasing_deletes_every_row_of_the_person_and_of_nobody_else(mine):
    mine.join(ADA, "the-village", "lgbtq")
    [grace] = mine.join(GRACE, "the-village")
    mine.visitor.join("asian", ADA)
    mine.send_issue()
    path = mine.link()
    mine.send(f"{path}/change-address", email="ada2@dpsk12.org")
    mine.worker.drain()
    assert "You can’t undo this" in mine.open(f"{path}/erase").text
    assert mine.rows("manage_sessions") == 1
    assert "We’re deleting your information" in mine.follow(f"{path}/erase").text
    assert mine.open(path).status_code == mine.follow(f"{path}/erase").status_code == 404
    receipt = mine.mails()[-1]
    later(mine)
    assert mine.query(select(Subscription.public_id)) == [grace]
    of_issue = select(Delivery.subscription_id).where(Delivery.newsletter_id.is_not(None))
    assert sorted(each is None for each in mine.query(of_issue)) == [False, True]
    about = select(Delivery.about_id).where(Delivery.kind == "confirm-subscription")
    assert mine.query(about) == [None]
    for table in ("pending_confirmations", "address_changes", "manage_sessions"):
        assert mine.rows(table) == 0
    for words in (str(receipt["Subject"]), text_of(receipt), html_of(receipt)):
        assert "Village" not in words
        assert "LGBTQ" not in words
    assert "gone within two days of your request" in " ".join(text_of(receipt).split())
    assert mine.rows("erasures") == 0


def test_messages_to_us_are_in_the_copy_and_are_erased_with_the_rest(mine):
    references = []
    for address in (ADA, GRACE, "grace@example.org", ADA):
        mine.worker.drain()
        answer = mine.send("/contact", email=address, topic="need", message="An interpreter.")
        references.append(answer.location.rpartition("/")[2].partition("?")[0])
    mine.execute(update(Job).values(due_at=now() + timedelta(days=9)))
    path = mine.sheet()
    mine.press(f"{path}/copy")
    words = text_of(mine.mails()[-1])
    assert [each in words for each in references] == [True, False, False, True]
    mine.follow(f"{path}/erase")
    mine.worker.drain()
    later(mine)
    kept = set(mine.query(select(ContactMessage.reference)))
    assert kept == set(references[1:]), "the last was not mailed yet"


def test_only_the_newest_of_very_many_messages_to_us_are_looked_through(mine):
    """The web may store any number: a copy took so long that all other email waited."""
    mine.send("/contact", email=ADA, topic="need", message="An interpreter.")
    mine.worker.drain()
    with mine.services.writing.begin() as session:
        [first] = session.scalars(select(ContactMessage))
        row = {"sealed": first.sealed, "received_at": first.received_at}
        rows = [row | {"reference": f"{number}"} for number in range(MAX_MESSAGES)]
        rows.append(row | {"reference": "long", "sealed": bytes(MAX_MESSAGE_OCTETS + 1)})
        session.execute(insert(ContactMessage), rows)
        found = messages_of(session, mine.keyring.opener, ADA)
        assert [each.reference for each in found] == [row["reference"] for row in rows[:-1]]


@on_both("parameters of a statement")
def test_a_message_named_like_another_row_erases_that_row_for_nobody(mine):
    """A message's reference is the web's text: here that of a membership and of a note."""
    mine.send("/groups/autoimmune/tell-me", email=GRACE)
    [grace] = mine.join(GRACE, "the-village")
    path = mine.sheet("asian")
    [note] = mine.query(select(WaitlistEntry.public_id))
    with mine.services.writing.begin() as session:
        for name in (grace, note):
            content = json.dumps({"address": ADA}).encode()
            sealed = mine.services.sealer.seal(content, MESSAGE_COLUMN)
            session.add(message := ContactMessage(reference=name, sealed=sealed))
            session.flush()
            outbox.post(session, KIND, sealed_to=outbox.UNNAMED, about_id=message.id)
            session.flush()
            session.execute(update(Delivery).values(state=State.ACCEPTED))
    mine.follow(f"{path}/erase")
    mine.worker.drain()
    later(mine)
    assert mine.query(select(Subscription.public_id)) == [grace]
    assert mine.query(select(WaitlistEntry.public_id)) == [note]
    assert mine.rows("contact_messages") == 0


@on_both("parameters of a statement")
def test_an_erasure_of_very_many_messages_stops_no_issue_and_ends(mine):
    [grace] = mine.join(GRACE, "the-village")
    [ada] = mine.join(ADA, "the-village")
    names = {f"contact_messages/{number}" for number in range(66_000)} | {f"subscriptions/{ada}"}
    opener, index = mine.keyring.opener, mine.keyring.index
    mine.do(erasure.start_erasure, opener, index, ADA, names)
    mine.queue_at_once()
    assert mine.mails(GRACE)[-1]["Subject"] == "This month with us"
    later(mine)
    assert mine.query(select(Subscription.public_id)) == [grace]
    assert (mine.rows("erasures"), mine.relay.to(ADA)) == (0, [])


def _expand(mine, state: State) -> None:
    """Let an issue be under way: its deliveries wait, or another worker holds them."""
    issue_mailer = mine.worker._issue_mailer
    with mine.services.writing.begin() as session:
        results.renew_lease(session, "elsewhere")
        assert len(claims.claim_chunk(session, "elsewhere", issue_mailer, 100) or ()) == 2
        waiting = {"claimed_by": None, "due_at": now()} if state == State.QUEUED else {}
        of_issue = update(Delivery).where(Delivery.newsletter_id.is_not(None))
        session.execute(of_issue.values(state=state, **waiting))


@on_both("locks")
@pytest.mark.parametrize(
    ("before", "after"), [(State.SENDING, State.UNCERTAIN), (State.QUEUED, State.WITHDRAWN)]
)
def test_erasing_takes_away_copies_that_another_worker_holds(mine, before, after):
    """Copies that may have left already are uncertain; the rest does not leave."""
    [other] = mine.join("ada.king@dpsk12.org", "the-village")
    path = mine.sheet("the-village", "asian")
    mine.queue_at_once()
    _expand(mine, before)
    mine.follow(f"{path}/erase")
    mine.worker.read_jobs()
    states = mine.query(select(Delivery.state).where(Delivery.newsletter_id.is_not(None)))
    assert sorted(states) == sorted([before, after])
    left = select(Subscription.public_id).where(Subscription.group.has(slug="the-village"))
    assert mine.query(left) == [other]
    assert mine.rows("subscriptions") == 2, "the other group’s row goes at its own hour"
    if after == State.WITHDRAWN:
        assert "This month with us" not in mine.subjects()
        assert mine.books() == {"recipients": 2, "accepted": 1, "withdrawn": 1}


def test_a_member_who_erased_everything_gets_nothing_more_before_the_rows_are_gone(mine):
    """Neither an issue, nor another mail, nor a link to groups that are as good as gone."""
    [other] = mine.join(GRACE, "the-village")
    path = mine.sheet()
    slip = mine.slip(path)
    mine.follow(f"{path}/erase")
    mine.worker.read_jobs()
    assert mine.rows("subscriptions") == 3
    with mine.services.writing.begin() as session:
        for each in session.scalars(select(Subscription.id)):
            outbox.post(session, "welcome-member", subscription_id=each)
        queue_issue(session)
    mine.worker.drain()
    mine.send("/my-groups", email=ADA)
    mine.ask_by_slip(slip, "my-copy", "erase")
    link = "The link you asked for"
    assert mine.subjects() == [link, "We deleted your information", link]
    assert "This email address isn’t in any group" in html_of(mine.relay.to(ADA)[-1])
    assert set(mine.subjects(GRACE)) == {"Welcome! You’re in.", "This month with us"}
    assert mine.books() == {"recipients": 2, "accepted": 1, "withdrawn": 1}
    village = select(Subscription.public_id).where(Subscription.group.has(slug="the-village"))
    assert mine.query(village) == [other]
    assert mine.rows("subscriptions") == 2, "the other group’s row goes at its own hour"


def test_rows_erased_by_a_clock_that_was_ahead_are_gone_within_two_days(mine):
    with time_machine.travel(now() + timedelta(hours=40), tick=True):
        mine.press(f"{mine.sheet()}/erase")
        mine.worker.read_jobs()
    assert mine.rows("erasures") == 1
    mine.worker._meet_at = 0.0
    mine.worker.drain()
    assert mine.rows("subscriptions") == 2
    later(mine)
    assert mine.rows("subscriptions") == mine.rows("erasures") == 0


@pytest.mark.parametrize("sealed", [b"no key's", b"no JSON", b"[]", b'{"address": 7}'])
def test_a_bad_row_keeps_nobody_from_a_copy_or_from_erasing(mine, sealed):
    """A message whose key is gone, or that whoever broke in wrote; a change likewise."""
    path, seal = mine.sheet(), mine.services.sealer.seal
    with mine.services.writing.begin() as session:
        content = sealed if sealed == b"no key's" else seal(sealed, "contact_messages.sealed")
        session.add(ContactMessage(reference="2345-6789", sealed=content))
        session.add(AddressChange(public_id="forged", wrapped=b"no key's"))
        moved = select(Subscription).where(Subscription.group.has(slug="the-village"))
        session.scalars(moved).one().wrapped_address = b"no key's"
    mine.press(f"{path}/copy")
    mine.worker.drain()
    mine.follow(f"{path}/erase")
    assert mine.subjects()[-1] == "We deleted your information"
    assert len(mine.relay.to(ADA)) == 3
    later(mine)
    with mine.services.reading.begin() as session:
        left = session.scalars(select(Subscription)).all()
        assert [each.group.slug for each in left] == ["the-village"]


@on_postgresql
def test_no_issue_leaves_to_the_erased_while_another_worker_carries_on_erasing(mine):
    """Rows that it held during its minute's tasks were passed over."""
    mine.join(GRACE, "the-village")
    mine.press(f"{mine.sheet()}/erase")
    mine.worker.read_jobs()
    mine.queue_at_once()
    with mine.services.writing.begin() as session:
        assert session.scalars(select(Erasure).with_for_update()).all()
        mine.worker.drain()
    assert "This month with us" not in mine.subjects()
    assert mine.relay.to(GRACE)[-1]["Subject"] == "This month with us"


def test_a_member_who_joins_again_while_the_rest_is_being_erased_stays(mine):
    mine.press(f"{mine.sheet()}/erase")
    mine.worker.drain()
    mine.visitor.join("the-village", ADA)
    mine.press(link_to(mine.mails()[-1], "confirm"))
    assert mine.mails()[-1]["Subject"] == "Welcome! You’re in."
    later(mine)
    with mine.services.reading.begin() as session:
        [kept] = session.scalars(select(Subscription))
        assert kept.is_active
        assert kept.group.slug == "the-village"
