"""Links that have been used say what came of them, to whoever holds them and to nobody else."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.members.models import Subscription
from tests.browser_client import link_to
from tests.db_dump import kept_of
from tests.factories import retire
from tests.scenario import ADA, VILLAGE

GROUP = "The Village Belong Group"


def test_a_used_confirmation_link_says_that_they_are_in_and_a_press_does_nothing_more(scenario):
    link, words = scenario.confirm_link(), "You’re already in"
    first = scenario.visitor.follow(link)
    assert "Welcome! You’re in." in first.text
    scenario.worker.drain()
    before = kept_of(scenario.services)
    for _ in range(2):
        again = scenario.visitor.follow(link)
        assert again.status_code == 200
        # What the page is called is signed with the time of the press.
        one, other = (re.sub('/welcome/[^?"]+', "", each.text) for each in (first, again))
        assert one == other
        answer = scenario.visitor.open(link)
        assert answer.status_code == 200
        assert f"<h1>{words}</h1>" in answer.text
        assert "The Village" in answer.text
        assert '<form method="post"' not in answer.text
        assert 'href="/not-me/' in answer.text
        assert "The Village" not in answer.text.partition("</title>")[0]
        scenario.worker.drain()
    assert kept_of(scenario.services) == before
    assert scenario.subjects() == ["Confirm your request to DPS Belong", "Welcome! You’re in."]
    with time_machine.travel(now() + timedelta(days=40)):
        scenario.purge()
        assert scenario.rows("pending_confirmations") == 0
        for answer in (scenario.visitor.open(link), scenario.visitor.follow(link)):
            assert answer.status_code == 200
            assert f"<h1>{words}</h1>" in answer.text
    assert scenario.is_member()


def test_a_confirmation_link_of_a_member_who_left_says_so_and_leads_back(scenario):
    link = scenario.confirm_link()
    scenario.visitor.follow(link)
    scenario.visitor.follow(link_to(scenario.mails()[-1], "leave"))
    page = scenario.visitor.open(link)
    assert page.status_code == 200
    assert "Undo and stay in the group" in page.text
    assert scenario.visitor.follow(link).status_code == 409
    assert not scenario.is_member()


def test_a_confirmation_link_of_a_canceled_request_says_so(scenario):
    mail = scenario.ask()
    scenario.visitor.follow(link_to(mail, "not-me"), choice="forget")
    confirm = link_to(mail, "confirm")
    page = scenario.visitor.open(confirm)
    assert page.status_code == 200
    assert "This request is over" in page.text
    assert f'href="/groups/{VILLAGE}/join' in page.text
    assert scenario.visitor.follow(confirm).status_code == 409
    assert not scenario.is_member()
    scenario.visitor.follow(link_to(mail, "not-me"), choice="never")
    scenario.worker.drain()
    page = scenario.visitor.open(confirm).text
    assert "You asked us not to email this address" in page
    assert f"/groups/{VILLAGE}/join" not in page, "no form that would bring nothing"


def test_a_used_leave_link_says_so_and_offers_to_come_back(scenario):
    link = link_to(scenario.issue_to(), "leave").partition("?")[0]
    scenario.visitor.follow(link)
    before = kept_of(scenario.services)
    page = scenario.visitor.open(link).text
    assert "You’ve left the group" in page
    assert GROUP in page
    assert "Undo and stay in the group" in page
    for words in ("Leave The Village", "Nothing was changed", "so your membership ended"):
        assert words not in page
    with time_machine.travel(now() + timedelta(days=2)):
        late = scenario.visitor.open(link).text
        assert "/undo" not in late
        assert f'href="/groups/{VILLAGE}/join"' in late
    assert kept_of(scenario.services) == before
    with scenario.services.writing.begin() as session:
        session.scalars(select(Subscription)).one().is_unreachable = True
    assert "so your membership ended" in scenario.visitor.open(link).text, "email came back"
    scenario.do(retire, VILLAGE)
    with time_machine.travel(now() + timedelta(days=2)):
        page = scenario.visitor.open(link)
    assert page.status_code == 200
    assert "/join" not in page.text, "no form of a group that has ended"


def test_when_the_row_is_gone_every_link_explains(scenario):
    mail = scenario.ask()
    scenario.visitor.follow(link_to(mail, "confirm"))
    leave = link_to(scenario.mails()[-1], "leave")
    scenario.visitor.follow(leave)
    with time_machine.travel(now() + timedelta(days=31)):
        scenario.purge()
        assert scenario.rows("subscriptions") == 0
        path = leave.partition("?")[0]
        answers = [scenario.visitor.open(each) for each in (leave, link_to(mail, "not-me"))]
        answers += [scenario.visitor.open(link_to(mail, "confirm"))]
        answers += [scenario.visitor.follow(f"{path}/remind", remind="yes")]
        for answer in answers:
            assert answer.status_code == 410
            assert "This link is no longer needed" in answer.text
            assert "Village" not in answer.text.partition("<main")[2]


def test_not_me_of_a_member_says_that_it_ends_a_membership(scenario):
    mail = scenario.ask()
    scenario.visitor.follow(link_to(mail, "confirm"))
    not_me = link_to(mail, "not-me")
    before = kept_of(scenario.services)
    page = scenario.visitor.open(not_me).text
    assert "You’re a member of this group" in page
    assert "End the membership" in page
    assert "You’re not a member" not in page
    assert f"Leave {GROUP}</button>" in page
    assert kept_of(scenario.services) == before
    for _ in range(2):
        done = scenario.visitor.follow(not_me, choice="forget").text
        assert "You’ve left the group" in done
        assert "Undo and stay in the group" in done
    assert not scenario.is_member()


@pytest.mark.parametrize("choice", ["forget", "never"])
def test_a_used_not_me_link_says_that_it_was_used(scenario, choice):
    not_me = link_to(scenario.ask(), "not-me")
    scenario.visitor.follow(not_me, choice=choice)
    scenario.worker.drain()
    page = scenario.visitor.open(not_me)
    assert page.status_code == 200
    assert "This link has been used" in page.text
    assert "Cancel the request</button>" not in page.text
    assert ("Don’t email me again</button>" in page.text) is (choice == "forget")
    assert ("Let us email you again" in page.text) is (choice == "never")
    if choice == "forget":
        with time_machine.travel(now() + timedelta(days=1)):
            scenario.worker.drain()
            assert scenario.rows("subscriptions") == 0
            page = scenario.visitor.open(not_me)
        assert page.status_code == 410
        assert "It has been used" in page.text


def test_not_me_asks_again_once_somebody_has_asked_again(scenario):
    not_me = link_to(scenario.ask(), "not-me")
    scenario.visitor.follow(not_me, choice="forget")
    scenario.visitor.join(VILLAGE, ADA)
    scenario.worker.read_jobs()
    assert "Cancel the request</button>" in scenario.visitor.open(not_me).text


def test_a_link_that_does_not_work_leads_its_reader_to_the_right_page(scenario):
    for path, leads_to in (
        ("/sign-in/x", "/sign-in"),
        ("/leave/x", "/my-groups"),
        ("/confirm/x", "/groups/the-village"),
    ):
        page = scenario.visitor.open(path)
        assert page.status_code == 404, path
        assert f'href="{leads_to}"' in page.text.partition("<h1>")[2].partition("</main>")[0], path
