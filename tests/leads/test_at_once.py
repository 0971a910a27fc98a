"""Two leads who save in the same moment: the second reads what the first has saved."""

import threading
import time

import pytest
from sqlalchemy import select, text

from belong_mail.core.db import lock_for_change
from belong_mail.delivery.models import Chunk
from belong_mail.groups.models import Group
from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Meeting
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import Form
from tests.factories import group_named, plan_meeting, queue_issue
from tests.markers import on_both

pytestmark = on_both("who saves second waits for a lock")

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
SECONDS = 20


def wait_until_it_waits(session) -> None:
    """Return when another transaction waits for this one; SQLite cannot tell."""
    until = time.monotonic() + SECONDS
    if session.get_bind().dialect.name == "sqlite":
        time.sleep(0.5)
        return
    while not session.scalar(WAITING) and time.monotonic() < until:
        time.sleep(0.02)


def race(scenario, lead, page: str, typed: dict[str, str], change) -> int:
    """Press “save” while another lead’s change is not committed yet; return the answer's status."""
    form = Form(lead.open(page).text).fields | typed
    answers: list[int] = []
    second = threading.Thread(target=lambda: answers.append(lead.press(page, **form).status_code))
    with scenario.services.writing.begin() as session:
        change(session)
        session.flush()
        second.start()
        wait_until_it_waits(session)
    second.join()
    return answers[0]


def test_the_second_of_two_concurrent_saves_of_a_meeting_is_refused(lead, scenario):
    page = f"/lead/meetings/{scenario.do(plan_meeting).public_id}"

    def move(session) -> None:
        meeting = session.scalars(select(Meeting).with_for_update()).one()
        meetings.change(meeting, place="Room 9")

    assert race(scenario, lead, page, {"place": "Room 5"}, move) == 409
    assert scenario.query(select(Meeting.place)) == ["Room 9"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_while_a_lead_saves_an_issue_its_mails_go_on(scenario):
    """A worker's rows refer to the issue, and do not wait for it."""
    issue = scenario.do(queue_issue).id
    with scenario.services.writing.begin() as session, scenario.services.writing.begin() as worker:
        session.scalar(lock_for_change(session, select(Newsletter)))
        worker.execute(text("SET LOCAL lock_timeout = '2s'"))
        worker.add(Chunk(newsletter_id=issue, low=1, high=1, planned=1))
        worker.flush()


def test_the_second_of_two_concurrent_saves_of_a_groups_page_is_refused(lead, scenario):
    def rewrite(session) -> None:
        group = session.scalars(select(Group).where(Group.slug == "the-village").with_for_update())
        group.one().summary = {"en": "The words of the first"}

    page = "/lead/groups/the-village/page"
    assert race(scenario, lead, page, {"summary_en": "Of the second"}, rewrite) == 409


def test_the_second_of_two_concurrent_saves_of_a_draft_is_refused(lead, scenario):
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "the-village"), "Hello", "Words")
        page = f"/lead/newsletters/{issue.public_id}"

    def rewrite(session) -> None:
        draft = session.scalars(select(Newsletter).with_for_update()).one()
        newsletters.update_draft(draft, text={"en": "The words of the first"})

    assert race(scenario, lead, page, {"text": "The words of the second"}, rewrite) == 409
    assert scenario.query(select(Newsletter.text)) == [{"en": "The words of the first"}]
