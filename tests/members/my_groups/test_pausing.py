"""A pause acts at once, and an issue's books stay right."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from tests.browser_client import html_of, link_to, path_of
from tests.markers import on_both
from tests.scenario import ADA

GRACE = "grace@dpsk12.org"


def change(mine, public_id: str, *, pause: bool) -> None:
    """Pause a membership for a month, or resume it."""
    with mine.services.writing.begin() as session:
        member = members.get(session, public_id)
        if pause:
            member.paused_until = now() + timedelta(days=30)
        else:
            members.resume(member)


@on_both("claims")
@pytest.mark.parametrize("is_queued_first", [False, True])
def test_a_paused_member_gets_no_issue_until_the_pause_ends(mine, is_queued_first):
    """Not even one that was queued before, and is withdrawn before it is read ahead."""
    [ada] = mine.join(ADA, "the-village")
    mine.join(GRACE, "the-village")
    steps = [mine.queue_issue, lambda: change(mine, ada, pause=True)]
    for step in steps if is_queued_first else reversed(steps):
        step()
    assert mine.mails() == []
    withdrawn = {"recipients": 2, "withdrawn": 1} if is_queued_first else {"recipients": 1}
    assert mine.books() == {"accepted": 1} | withdrawn
    with time_machine.travel(now() + timedelta(days=31)):
        mine.send_issue()
    assert len(mine.relay.to(ADA)) == 1


def test_a_member_who_resumes_gets_a_waiting_issue_only_if_it_was_queued_before_the_pause(mine):
    mine.join(GRACE, "the-village")
    [ada] = mine.join(ADA, "the-village")
    mine.join("zoe@dpsk12.org", "the-village")
    change(mine, ada, pause=True)
    mine.queue_issue()
    change(mine, ada, pause=False)
    assert mine.mails() == []
    assert mine.books() == {"recipients": 2, "accepted": 2}
    with time_machine.travel(now() + timedelta(minutes=1)):
        mine.queue_issue()
        mine.worker.step()
        change(mine, ada, pause=True)
        change(mine, ada, pause=False)
        assert len(mine.mails()) == 1


def test_a_member_who_joins_again_is_neither_paused_nor_reminded_any_more(mine):
    [ada] = mine.join(ADA, "the-village")
    change(mine, ada, pause=True)
    with mine.services.writing.begin() as session:
        members.leave(session, ada).is_reminded = True
    mine.visitor.join("the-village", ADA)
    mine.press(link_to(mine.mails()[0], "confirm"))
    assert mine.query(select(Subscription.is_reminded)) == [False]
    mine.queue_issue()
    assert "This month with us" in mine.subjects()


def test_a_newsletter_lets_its_reader_leave_pause_or_change_language_in_that_group_only(mine):
    _village, other = mine.join(ADA, "the-village", "lgbtq")
    mine.queue_issue()
    link = path_of(link_to(mine.mails()[0], "leave")).partition("?")[0]
    page = mine.open(link).text
    assert "Leave The Village Belong Group" in page
    assert "LGBTQ" not in page
    assert ADA not in page
    assert "my-groups" not in page.partition("<main")[2].partition("</main>")[0]

    wrong = mine.press(f"{link}/pause", until="2027-02-31")
    assert wrong.status_code == 422
    assert "Choose a date, like 12/31/2027" in wrong.text
    assert 'id="problem"' in wrong.text
    assert mine.press(f"{link}/language", language="xx").status_code == 400
    page = mine.follow(
        f"{link}/pause", until=f"{now() + timedelta(days=20):%Y-%m-%d}", membership=other
    ).text
    assert "Newsletters are paused." in page
    assert "You’ll get newsletters again." in mine.follow(f"{link}/resume").text
    mine.press(f"{link}/language", language="es", membership=other)
    with time_machine.travel(now() + timedelta(seconds=5)):
        mine.send_issue()
    assert '<html lang="es"' in html_of(mine.relay.to(ADA)[-1])
    [held] = mine.query(select(Subscription).where(Subscription.group.has(slug="lgbtq")))
    assert (held.is_active, held.pause, held.language) == (True, None, "en")
