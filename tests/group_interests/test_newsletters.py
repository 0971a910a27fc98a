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


def tick_many(scenario: Helpers, number: int, label: str = CHARTER) -> None:
    """Let so many members be there, all with one tick."""
    with scenario.services.writing.begin() as session:
        make_members(session, scenario.keyring, number, SLUG)
        chosen = interests_of(session, SLUG)[label]
        for member in session.scalars(select(Subscription)):
            ticks.set_ticks(scenario.keyring, member, member, [chosen])


def test_it_reaches_who_ticked_and_nobody_else(scenario: Helpers, lead: Visitor) -> None:
    scenario.joined(ADA, CHARTER)
    scenario.joined(BEN, EVENTS)
    scenario.joined(CARMEN)
    page = write(lead)
    assert release(lead, page, scenario.interest(CHARTER)) == 303
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN, CARMEN)] == [1, 0, 0]
    assert "library" in text_of(scenario.relay.to(ADA)[-1])
    shown = lead.open(f"{page}/sending").text
    assert f"Only for people who chose “{CHARTER}”." in shown
    assert "Sent." in shown


def test_everyone_still_means_everyone(scenario: Helpers, lead: Visitor) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN)
    page = write(lead)
    assert release(lead, page, "everyone") == 303
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN)] == [1, 1]


def test_who_gets_it_must_be_chosen_from_the_groups_own_list(
    scenario: Helpers, lead: Visitor
) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead)
    for wrong in ("", "x", scenario.interest(EVENTS, "the-village")):
        assert release(lead, page, wrong) == 422
    assert Form(lead.open(f"{page}/release").text).fields["recipients"] == "everyone"
    assert "draft" in lead.open(f"{page}/sending").text


def test_who_unticks_before_it_leaves_gets_none_and_who_ticks_afterwards_neither(
    scenario: Helpers, lead: Visitor
) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN, CHARTER)
    scenario.made(CARMEN)
    sheets = {each: scenario.link(each) for each in (ADA, CARMEN)}
    page = write(lead)
    assert release(lead, page, scenario.interest(CHARTER)) == 303
    with time_machine.travel(now() + LATER, tick=True):
        with scenario.services.writing.begin() as session:
            [issue] = newsletters.queue_due(session, scenario.worker._choose)
            newsletter_id = issue.id
        scenario.change(sheets[ADA], ADA)
        scenario.change(sheets[CARMEN], CARMEN, CHARTER)
        scenario.worker.drain()
    assert scenario.ticked(CARMEN) == {CHARTER}
    assert [scenario.got(each) for each in (ADA, BEN, CARMEN)] == [0, 1, 0]
    with scenario.services.reading.begin() as session:
        counts = newsletters.report(session, session.get_one(Newsletter, newsletter_id))
    assert {name: number for name, number in counts.items() if number} == {
        "recipients": 2, "accepted": 1, "withdrawn": 1,
    }  # fmt: skip


def test_who_left_paused_or_is_erased_gets_none(scenario: Helpers, lead: Visitor) -> None:
    for address in (ADA, BEN, CARMEN):
        scenario.made(address, CHARTER)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    with scenario.services.writing.begin() as session:
        first, second, _ = session.scalars(select(Subscription).order_by(Subscription.id))
        first.ended_at, second.paused_until = now(), now() + timedelta(days=9)
    scenario.visitor.press(f"{scenario.link(CARMEN)}/erase")
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [scenario.got(each) for each in (ADA, BEN, CARMEN)] == [0, 0, 0]


def test_it_pauses_goes_on_and_stops_like_any(scenario: Helpers, lead: Visitor) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        with scenario.services.writing.begin() as session:
            newsletters.queue_due(session, scenario.worker._choose)
        assert act(lead, page, "pause") == 303
        scenario.worker.drain()
        assert scenario.got(ADA) == 0
        assert act(lead, page, "resume") == 303
        scenario.worker.drain()
        assert scenario.got(ADA) == 1


def test_the_choice_stays_when_it_is_taken_back(scenario: Helpers, lead: Visitor) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    assert act(lead, page, "undo") == 303
    assert Form(lead.open(f"{page}/release").text).fields["recipients"] == scenario.interest(
        CHARTER
    )


def test_what_was_for_a_retired_interest_goes_to_nobody_until_it_is_chosen_again(
    scenario: Helpers, lead: Visitor
) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(BEN)
    page = write(lead)
    chosen = scenario.interest(CHARTER)
    release(lead, page, chosen)
    url = f"/lead/groups/{SLUG}/interests/{chosen}/retire"
    token = Form(lead.open(url).text).fields["csrf_token"]
    assert lead.press(url, csrf_token=token).status_code == 303
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    shown = lead.open(f"{page}/release").text
    assert "can’t be reached" in shown
    assert "recipients" not in Form(shown).fields
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 422
    assert [scenario.got(each) for each in (ADA, BEN)] == [0, 0]


def test_an_issue_for_a_retired_interest_is_a_draft_again_when_its_time_comes(
    scenario: Helpers, lead: Visitor
) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    scenario.retire(CHARTER)
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert scenario.got(ADA) == 0
    assert "This is a draft. Nothing has been sent." in lead.open(f"{page}/sending").text


def test_nobody_but_the_worker_queues_it(scenario: Helpers) -> None:
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), SUBJECT, "Come.")
        newsletters.choose_recipients(issue, issue.group.interests[0])
        with pytest.raises(newsletters.InvalidState):
            newsletters.queue(session, issue)
        newsletters.schedule(issue, now())
        session.flush()
        assert newsletters.queue_due(session) == []
        assert session.scalar(select(func.count(Chunk.id))) == 0


def test_headers_say_neither_group_nor_interest(scenario: Helpers, lead: Visitor) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    [mail] = scenario.relay.to(ADA)
    headers = "\n".join(f"{name}: {value}" for name, value in mail.items()).casefold()
    for words in ("charter", "african", "black", scenario.interest(CHARTER).casefold(), SLUG):
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
    scenario: Helpers, lead: Visitor, subject: str
) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead, subject)
    assert release(lead, page, scenario.interest(CHARTER)) == 422
    assert release(lead, page, "everyone") == 303


def test_a_subject_that_was_made_to_say_it_afterwards_is_not_sent(
    scenario: Helpers, lead: Visitor
) -> None:
    scenario.made(ADA, CHARTER)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    with scenario.services.writing.begin() as session:
        session.execute(update(Newsletter).values(subject={"en": CHARTER}))
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
    assert [mail["Subject"] for mail in scenario.relay.to(ADA)] == []


def test_numbers_are_tens_and_below_ten_they_say_nothing(scenario: Helpers, lead: Visitor) -> None:
    tick_many(scenario, 24)
    scenario.made(ADA, EVENTS)
    scenario.minute()
    page = write(lead)
    shown = lead.open(f"{page}/release").text
    assert f"People who chose “{CHARTER}”: about 20" in shown
    assert f"People who chose “{EVENTS}”: fewer than 10" in shown
    listed = lead.open(f"/lead/groups/{SLUG}/interests").text
    assert "About 20 people chose this." in listed
    assert "Fewer than 10 people chose this, or no one yet." in listed
    release(lead, page, scenario.interest(CHARTER))
    with time_machine.travel(now() + timedelta(minutes=4), tick=True):
        scenario.worker.drain()
    assert "Sent to about 20 members." in lead.open(f"{page}/sending").text


def test_a_report_says_the_same_of_one_reader_and_of_none(scenario: Helpers, lead: Visitor) -> None:
    scenario.made(ADA, EVENTS)
    said = []
    for label in (CHARTER, EVENTS):
        page = write(lead)
        release(lead, page, scenario.interest(label))
        with time_machine.travel(now() + LATER, tick=True):
            scenario.worker.drain()
        shown = lead.open(f"{page}/sending").text
        said.append("fewer than 10 people had chosen this, or no one" in shown)
        assert "Sent to" not in shown
        assert "had no members" not in shown
    assert said == [True, True]
    assert scenario.got(ADA) == 1


def test_a_count_stands_until_it_has_moved_by_ten_and_counts_a_person_once(
    scenario: Helpers, lead: Visitor
) -> None:
    def shown() -> int | None:
        with scenario.services.writing.begin() as session:
            group = group_named(session, SLUG)
            ticks.count_ticks(session, scenario.keyring.opener, group)
            return {each.label["en"]: each.members_shown for each in group.interests}[CHARTER]

    tick_many(scenario, 9)
    assert shown() == 0
    for number in range(5):
        scenario.made(f"member0+{number}@dpsk12.org", CHARTER)
    assert shown() == 0
    scenario.made(ADA, CHARTER)
    assert shown() == 10
    with scenario.services.writing.begin() as session:
        session.execute(update(Subscription).values(ended_at=now()))
    assert shown() == 0
    assert lead.open("/lead/").status_code == 200


def test_no_copy_is_written_twice_and_the_books_are_right(scenario: Helpers, lead: Visitor) -> None:
    tick_many(scenario, 12)
    page = write(lead)
    release(lead, page, scenario.interest(CHARTER))
    with time_machine.travel(now() + LATER, tick=True):
        scenario.worker.drain()
        scenario.worker.drain()
    with scenario.services.reading.begin() as session:
        states = session.scalars(select(Delivery.state).where(Delivery.newsletter_id.is_not(None)))
        assert list(states) == [State.ACCEPTED] * 12
    assert [scenario.got(f"member{each}@dpsk12.org") for each in range(12)] == [1] * 12
