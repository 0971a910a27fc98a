"""A leader writes to those who offered to help with one thing, and to nobody else."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from belong_mail.core.db import now
from belong_mail.delivery.models import Chunk, Delivery, State
from belong_mail.members import ticks
from belong_mail.members.models import Subscription
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import Form, Visitor, text_of
from tests.factories import group_named, interests_of, make_members
from tests.group_interests.charter import (
    BEN,
    CARMEN,
    CHARTER,
    EVENTS,
    SLUG,
    SUBJECT,
    Helpers,
    act,
    release,
    write,
)  # fmt: skip
from tests.scenario import ADA

LATER = timedelta(minutes=2)


def tick_many(stage: Helpers, number: int, label: str = CHARTER) -> None:
    """Let so many members be there, all with one tick."""
    with stage.services.writing.begin() as session:
        make_members(session, stage.keyring, number, SLUG)
        chosen = interests_of(session, SLUG)[label]
        for member in session.scalars(select(Subscription)):
            ticks.set_ticks(stage.keyring, member, member, [chosen])


def test_it_reaches_who_ticked_and_nobody_else(stage: Helpers, lead: Visitor) -> None:
    stage.joined(ADA, CHARTER)
    stage.joined(BEN, EVENTS)
    stage.joined(CARMEN)
    page = write(lead)
    assert release(lead, page, stage.interest(CHARTER)) == 303
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    assert [stage.got(each) for each in (ADA, BEN, CARMEN)] == [1, 0, 0]
    assert "library" in text_of(stage.relay.to(ADA)[-1])
    shown = lead.open(f"{page}/sending").text
    assert f"Only for people who chose “{CHARTER}”." in shown
    assert "Sent." in shown


def test_everyone_still_means_everyone(stage: Helpers, lead: Visitor) -> None:
    stage.made(ADA, CHARTER)
    stage.made(BEN)
    page = write(lead)
    assert release(lead, page, "everyone") == 303
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    assert [stage.got(each) for each in (ADA, BEN)] == [1, 1]


def test_who_gets_it_must_be_chosen_from_the_groups_own_list(stage: Helpers, lead: Visitor) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead)
    for wrong in ("", "x", stage.interest(EVENTS, "the-village")):
        assert release(lead, page, wrong) == 422
    assert Form(lead.open(f"{page}/release").text).fields["recipients"] == "everyone"
    assert "draft" in lead.open(f"{page}/sending").text


def test_who_unticks_before_it_leaves_gets_none_and_who_ticks_afterwards_neither(
    stage: Helpers, lead: Visitor
) -> None:
    stage.made(ADA, CHARTER)
    stage.made(BEN, CHARTER)
    stage.made(CARMEN)
    sheets = {each: stage.link(each) for each in (ADA, CARMEN)}
    page = write(lead)
    assert release(lead, page, stage.interest(CHARTER)) == 303
    with time_machine.travel(now() + LATER, tick=True):
        with stage.services.writing.begin() as session:
            [issue] = newsletters.queue_due(session, stage.worker._choose)
            newsletter_id = issue.id
        stage.change(sheets[ADA], ADA)
        stage.change(sheets[CARMEN], CARMEN, CHARTER)
        stage.worker.drain()
    assert stage.ticked(CARMEN) == {CHARTER}
    assert [stage.got(each) for each in (ADA, BEN, CARMEN)] == [0, 1, 0]
    with stage.services.reading.begin() as session:
        counts = newsletters.report(session, session.get_one(Newsletter, newsletter_id))
    assert {name: number for name, number in counts.items() if number} == {
        "recipients": 2, "accepted": 1, "withdrawn": 1,
    }  # fmt: skip


def test_who_left_paused_or_is_erased_gets_none(stage: Helpers, lead: Visitor) -> None:
    for address in (ADA, BEN, CARMEN):
        stage.made(address, CHARTER)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    with stage.services.writing.begin() as session:
        first, second, _ = session.scalars(select(Subscription).order_by(Subscription.id))
        first.ended_at, second.paused_until = now(), now() + timedelta(days=9)
    stage.visitor.press(f"{stage.link(CARMEN)}/erase")
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    assert [stage.got(each) for each in (ADA, BEN, CARMEN)] == [0, 0, 0]


def test_it_pauses_goes_on_and_stops_like_any(stage: Helpers, lead: Visitor) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        with stage.services.writing.begin() as session:
            newsletters.queue_due(session, stage.worker._choose)
        assert act(lead, page, "pause") == 303
        stage.worker.drain()
        assert stage.got(ADA) == 0
        assert act(lead, page, "resume") == 303
        stage.worker.drain()
        assert stage.got(ADA) == 1


def test_the_choice_stays_when_it_is_taken_back(stage: Helpers, lead: Visitor) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    assert act(lead, page, "undo") == 303
    assert Form(lead.open(f"{page}/release").text).fields["recipients"] == stage.interest(CHARTER)


def test_what_was_for_a_retired_interest_goes_to_nobody_until_it_is_chosen_again(
    stage: Helpers, lead: Visitor
) -> None:
    stage.made(ADA, CHARTER)
    stage.made(BEN)
    page = write(lead)
    chosen = stage.interest(CHARTER)
    release(lead, page, chosen)
    url = f"/lead/groups/{SLUG}/interests/{chosen}/retire"
    token = Form(lead.open(url).text).fields["csrf_token"]
    assert lead.press(url, csrf_token=token).status_code == 303
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    shown = lead.open(f"{page}/release").text
    assert "can’t be reached" in shown
    assert "recipients" not in Form(shown).fields
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422
    assert [stage.got(each) for each in (ADA, BEN)] == [0, 0]


def test_an_issue_for_a_retired_interest_is_a_draft_again_when_its_time_comes(
    stage: Helpers, lead: Visitor
) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    stage.retire(CHARTER)
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    assert stage.got(ADA) == 0
    assert "This is a draft. Nothing has been sent." in lead.open(f"{page}/sending").text


def test_nobody_but_the_worker_queues_it(stage: Helpers) -> None:
    with stage.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), SUBJECT, "Come.")
        newsletters.choose_recipients(issue, issue.group.interests[0])
        with pytest.raises(newsletters.InvalidState):
            newsletters.queue(session, issue)
        newsletters.schedule(issue, now())
        session.flush()
        assert newsletters.queue_due(session) == []
        assert session.scalar(select(func.count(Chunk.id))) == 0


def test_headers_say_neither_group_nor_interest(stage: Helpers, lead: Visitor) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    [mail] = stage.relay.to(ADA)
    headers = "\n".join(f"{name}: {value}" for name, value in mail.items()).casefold()
    for words in ("charter", "african", "black", stage.interest(CHARTER).casefold(), SLUG):
        assert words not in headers
    assert {name for name, _ in mail.items()} >= {"List-Id", "List-Unsubscribe"}


@pytest.mark.parametrize(
    "subject",
    [
        "Helping write the charter: Friday",
        "HELPING WRITE\u200b THE CHARTER",
        "Ayudar a escribir los estatutos",
    ],
)
def test_a_subject_that_says_the_interest_is_refused(
    stage: Helpers, lead: Visitor, subject: str
) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead, subject)
    assert release(lead, page, stage.interest(CHARTER)) == 422
    assert release(lead, page, "everyone") == 303


def test_a_subject_that_was_made_to_say_it_afterwards_is_not_sent(
    stage: Helpers, lead: Visitor
) -> None:
    stage.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    with stage.services.writing.begin() as session:
        session.execute(update(Newsletter).values(subject={"en": CHARTER}))
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
    assert [mail["Subject"] for mail in stage.relay.to(ADA)] == []


def test_numbers_are_tens_and_below_ten_they_say_nothing(stage: Helpers, lead: Visitor) -> None:
    tick_many(stage, 24)
    stage.made(ADA, EVENTS)
    stage.minute()
    page = write(lead)
    shown = lead.open(f"{page}/release").text
    assert f"People who chose “{CHARTER}”: about 20" in shown
    assert f"People who chose “{EVENTS}”: fewer than 10" in shown
    listed = lead.open(f"/lead/groups/{SLUG}/interests").text
    assert "About 20 people chose this." in listed
    assert "Fewer than 10 people chose this, or no one yet." in listed
    release(lead, page, stage.interest(CHARTER))
    with time_machine.travel(now() + timedelta(minutes=4), tick=True):
        stage.worker.drain()
    assert "Sent to about 20 members." in lead.open(f"{page}/sending").text


def test_a_report_says_the_same_of_one_reader_and_of_none(stage: Helpers, lead: Visitor) -> None:
    stage.made(ADA, EVENTS)
    said = []
    for label in (CHARTER, EVENTS):
        page = write(lead)
        release(lead, page, stage.interest(label))
        with time_machine.travel(now() + LATER, tick=True):
            stage.worker.drain()
        shown = lead.open(f"{page}/sending").text
        said.append("fewer than 10 people had chosen this, or no one" in shown)
        assert "Sent to" not in shown
        assert "had no members" not in shown
    assert said == [True, True]
    assert stage.got(ADA) == 1


def test_a_count_stands_until_it_has_moved_by_ten_and_counts_a_person_once(
    stage: Helpers, lead: Visitor
) -> None:
    def shown() -> int | None:
        with stage.services.writing.begin() as session:
            group = group_named(session, SLUG)
            ticks.count_ticks(session, stage.keyring.opener, group)
            return {each.label["en"]: each.members_shown for each in group.interests}[CHARTER]

    tick_many(stage, 9)
    assert shown() == 0
    for number in range(5):
        stage.made(f"member0+{number}@dpsk12.org", CHARTER)
    assert shown() == 0
    stage.made(ADA, CHARTER)
    assert shown() == 10
    with stage.services.writing.begin() as session:
        session.execute(update(Subscription).values(ended_at=now()))
    assert shown() == 0
    assert lead.open("/lead/").status_code == 200


def test_no_copy_is_written_twice_and_the_books_are_right(stage: Helpers, lead: Visitor) -> None:
    tick_many(stage, 12)
    page = write(lead)
    release(lead, page, stage.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        stage.worker.drain()
        stage.worker.drain()
    with stage.services.reading.begin() as session:
        states = session.scalars(select(Delivery.state).where(Delivery.newsletter_id.is_not(None)))
        assert list(states) == [State.ACCEPTED] * 12
    assert [stage.got(f"member{each}@dpsk12.org") for each in range(12)] == [1] * 12
