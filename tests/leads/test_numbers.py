"""The numbers a lead reads tell nobody's coming or going, also not to one who tries."""

import re
from datetime import timedelta

import time_machine
from sqlalchemy import func, select, update

from belong_mail.core.db import now
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.models import Group
from belong_mail.members.counts import count_watched
from belong_mail.members.models import Subscription
from belong_mail.newsletters.models import Newsletter
from tests.markers import on_both
from tests.newsletters.writing import release, write

SLUG = "the-village"


def told(lead, scenario) -> str:
    """Count anew, as the worker does each minute, and return what the first page says then."""
    scenario.do(count_watched)
    return lead.open("/lead/").text


def set_members(scenario, number: int) -> None:
    """Let so many of those that there are be members, and the others have left."""
    with scenario.services.writing.begin() as session:
        ids = session.scalars(select(Subscription.id).order_by(Subscription.id)).all()
        session.execute(update(Subscription).values(ended_at=None))
        left = update(Subscription).where(Subscription.id.in_(ids[number:]))
        session.execute(left.values(ended_at=now()))


def test_a_number_stands_until_the_true_one_has_moved_by_a_whole_step(lead, scenario):
    scenario.add_members(60)
    shown = []
    for number in (44, 45, 49, 44, 50, 49, 50, 45, 41, 40, 41, 49, 9, 10, 9, 1, 0, 9, 10):
        set_members(scenario, number)
        page = told(lead, scenario)
        shown.append(next((about for about in range(10, 70, 10) if f"About {about} m" in page), 0))
    assert shown == [
        40, 40, 40, 40, 50, 50, 50, 50, 50, 40, 40, 40, 0, 10, 10, 10, 0, 0, 10,
    ]  # fmt: skip


def in_the_middle(lead, page: str, scenario, number: int) -> None:
    """Release an issue and let so many of its copies wait for a second try."""
    release(lead, page, scenario.worker)
    with scenario.services.writing.begin() as session:
        issue = select(Newsletter.id).order_by(Newsletter.id.desc()).limit(1).scalar_subquery()
        some = select(Delivery.id).where(Delivery.newsletter_id == issue).limit(number)
        ids = session.scalars(some).all()
        waiting = {"state": State.DEFERRED, "due_at": now() + timedelta(days=1)}
        session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(waiting))


def percent(lead, page: str) -> int:
    [value] = re.findall(r'<progress .*?value="(\d+)"', lead.open(f"{page}/sending").text)
    return int(value)


def test_the_bar_of_an_issue_is_of_the_rounded_numbers_that_stand_below_it(lead, scenario):
    scenario.add_members(19)
    page = write(lead)
    in_the_middle(lead, page, scenario, 9)
    shown = lead.open(f"{page}/sending").text
    assert "Sent to about 10 members." in shown
    assert "Not sent yet to a few members." in shown
    assert percent(lead, page) == 66, "10 to 5, for “a few”, whatever they are"
    scenario.execute(update(Delivery).values(state=State.ACCEPTED, due_at=None))
    for name in ("one", "two"):
        scenario.add_member(f"{name}.more@dpsk12.org")
    page = write(lead)
    in_the_middle(lead, page, scenario, 10)
    assert percent(lead, page) == 50, "11 of 21: about 10 and about 10"
    with scenario.services.writing.begin() as session:
        session.execute(update(Delivery).values(state=State.UNCERTAIN, due_at=None))
        last = session.scalar(select(func.max(Delivery.id)))
        lost = {"resent": 1, "state": State.EXPIRED}
        session.execute(update(Delivery).where(Delivery.id == last).values(lost))
    shown = lead.open(f"{page}/sending").text
    for words in ("delivered to a few", "reached about 20 members", "A few members may get it"):
        assert words in shown
    assert scenario.relay.accepted


def test_an_issues_report_says_the_same_of_all_members_as_the_first_page(lead, scenario):
    """A lead compares the reports of issue after issue, while one person comes and goes."""
    scenario.add_members(40)
    for number in (34, 35, 36, 35):
        set_members(scenario, number)
        page = write(lead)
        in_the_middle(lead, page, scenario, 0)
        shown = lead.open(f"{page}/sending").text
        assert "Sent to about 30 members." in shown


@on_both("counts")
def test_the_worker_counts_members_each_minute_and_no_look_does(lead, scenario):
    told(lead, scenario)
    scenario.add_members(21)
    assert "Fewer than 10 members" in lead.open("/lead/").text
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        scenario.worker.step()
    assert "About 20 members" in lead.open("/lead/").text
    scenario.execute(update(Group).values(members_shown=3000))
    assert "About 3,000 members" in lead.open("/lead/").text
