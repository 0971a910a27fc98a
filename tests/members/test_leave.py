"""Leaving: at once, with one click, undone within the hour; for this group only."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import link_to, path_of
from tests.factories import queue_issue
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE

BODY = {"List-Unsubscribe": "One-Click"}
OF_A_WEBMAIL = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://mail.example.org"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "null"},
)


def links(scenario, slug: str = VILLAGE) -> tuple[str, str]:
    """Make Ada a member, send an issue, and return its links: one click, and the footer's."""
    mail = scenario.issue_to(slug=slug)
    return path_of(mail["List-Unsubscribe"].strip("<>")), path_of(link_to(mail, "leave"))


def undo_link(page: str) -> str:
    return page.partition("<main")[2].partition('action="')[2].partition('"')[0]


def states(scenario) -> dict[str, int]:
    with scenario.services.reading.begin() as session:
        issue = session.scalars(select(Newsletter).order_by(Newsletter.id.desc())).first()
        return newsletters.report(session, issue)


def test_the_footers_link_asks_and_the_button_acts_for_this_group_alone(scenario):
    links(scenario, "lgbtq")
    _, link = links(scenario)
    page = scenario.visitor.open(link)
    assert "Leave The Village Belong Group?" in page.text
    assert "LGBTQ" not in page.text
    button = "Leave The Village Belong Group</button>"
    assert page.text.index(button) + len(button) == page.text.index("</button>") + len("</button>")
    scenario.visitor.client.head(link)
    assert scenario.is_member()
    done = scenario.visitor.follow(link)
    assert "You’ve left the group" in done.text
    assert not scenario.is_member()
    assert scenario.is_member(slug="lgbtq")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click\r\n"),
        ("Application/X-WWW-Form-URLencoded; charset=UTF-8", b"List-Unsubscribe=One%2DClick&x=1"),
        (
            "multipart/form-data; boundary=b",
            (
                b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n'
                b"Content-Type: text/plain; charset=us-ascii\r\n\r\nOne-Click\r\n\r\n--b--\r\n"
            ),
        ),
    ],
    ids=["plain", "a line end", "spellings", "a part with a type"],
)
def test_one_click_as_senders_write_it_leaves_without_cookie_page_or_redirect(scenario, kind, body):
    """Also from the page of a webmail, which the footer’s link is not."""
    link, footer = links(scenario)
    for headers in OF_A_WEBMAIL:
        scenario.visitor.headers = headers
        assert scenario.visitor.follow(footer, **BODY).status_code == 403
        assert scenario.is_member()
    for headers in (*OF_A_WEBMAIL, {}):
        answer = scenario.visitor.client.post(link, data=body, content_type=kind, headers=headers)
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Location" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert not scenario.is_member()
    scenario.visitor.headers = {}
    scenario.visitor.follow(undo_link(scenario.visitor.follow(footer).text))
    assert scenario.is_member()


def test_a_get_with_the_one_click_body_changes_nothing_and_logs_nothing(scenario, caplog):
    link, _ = links(scenario)
    caplog.clear()
    for method in ("GET", "HEAD"):
        page = scenario.visitor.client.open(link, method=method, data=BODY)
        assert page.status_code == 200
    assert scenario.is_member()
    assert caplog.text == ""
    page = scenario.visitor.open(link)
    assert "Leave The Village Belong Group?" in page.text
    action = page.text.partition('action="')[2].partition('"')[0]
    assert "You’ve left the group" in scenario.visitor.follow(action).text


def test_a_post_that_is_not_one_click_is_refused(scenario):
    link, _ = links(scenario)
    bodies: list[dict[str, Any]] = [{}, {"x": "List-Unsubscribe"}]
    bodies += [{"List-Unsubscribe": value} for value in ("", "x", "one-click", ["x", "One-Click"])]
    for body in bodies:
        answer = scenario.visitor.follow(link, **body)
        assert answer.status_code == 400, body
        assert "Leave The Village Belong Group?" in answer.text, body
    assert scenario.is_member()


def test_one_click_after_the_row_is_gone_is_still_fine(scenario):
    link, footer = links(scenario)
    scenario.visitor.follow(link, **BODY)
    with time_machine.travel(now() + timedelta(days=31)):
        scenario.purge()
        assert scenario.subscription() is None
        assert scenario.visitor.follow(link, **BODY).status_code == 204
        assert scenario.visitor.open(footer).status_code == 410


@on_both("journeys")
def test_undo_within_the_hour_keeps_the_joining_date_and_sends_no_issue_of_the_time_away(
    scenario,
):
    scenario.add_member("aaron@dpsk12.org")
    _, link = links(scenario)
    before = scenario.subscription()
    with time_machine.travel(now() + timedelta(hours=9), tick=False) as clock:
        undo = undo_link(scenario.visitor.follow(link).text)
        scenario.add_member("bob@dpsk12.org")
        scenario.queue_at_once(subject="While Ada was away")
        clock.shift(timedelta(minutes=59))
        for _ in range(2):
            assert "Good to have you back" in scenario.visitor.follow(undo).text
        after = scenario.subscription()
        assert after.is_active
        assert after.confirmed_at == before.confirmed_at
        assert after.pause is None
        assert "While Ada was away" not in scenario.subjects()
        counted = {"recipients": 2, "accepted": 2, "withdrawn": 0}
        assert states(scenario) == states(scenario) | counted
        scenario.do(queue_issue, subject="With Ada again")
        assert scenario.mails()[-1]["Subject"] == "With Ada again"


def test_undoing_a_leave_keeps_a_pause(scenario):
    _, link = links(scenario)
    until = now() + timedelta(days=9)
    with scenario.services.writing.begin() as session:
        [member] = session.scalars(select(Subscription))
        member.paused_until = until
    undone = scenario.visitor.follow(undo_link(scenario.visitor.follow(link).text))
    assert "Its newsletters stay paused until" in undone.text
    assert scenario.subscription().pause == until


def test_leaving_holds_back_mail_that_already_waits(scenario):
    link, _ = links(scenario)
    scenario.add_member("bob@dpsk12.org")
    scenario.queue_at_once(subject="The second issue")
    scenario.visitor.follow(link, **BODY)
    assert scenario.subjects() == ["This month with us"]
    assert scenario.subjects("bob@dpsk12.org") == ["The second issue"]
    assert states(scenario) == states(scenario) | {"recipients": 2, "accepted": 1, "withdrawn": 1}


def test_a_member_who_leaves_before_the_welcome_is_sent_gets_none(scenario):
    scenario.visitor.follow(scenario.confirm_link())
    scenario.worker.read_jobs()
    with scenario.services.writing.begin() as session:
        for member in session.scalars(select(Subscription)):
            members.leave(session, member.public_id)
    assert scenario.subjects() == ["Confirm your request to DPS Belong"]


@on_both("claims")
def test_leaving_holds_back_a_copy_that_is_next_in_line(scenario):
    """The delivery exists already: the engine asks once more before it writes the message."""
    link, _ = links(scenario)
    scenario.relay.script("RCPT", "450 4.2.1 Try later")
    scenario.do(queue_issue, subject="The second issue")
    scenario.worker.drain()
    assert states(scenario) == states(scenario) | {"recipients": 1, "deferred": 1}
    scenario.visitor.follow(link, **BODY)
    with time_machine.travel(now() + timedelta(hours=1)):
        assert len(scenario.mails()) == 1
    assert states(scenario) == states(scenario) | {"recipients": 1, "withdrawn": 1}


def test_after_the_hour_leaving_is_not_undone_though_it_was_pressed_late_again(scenario):
    _, link = links(scenario)
    undos = [undo_link(scenario.visitor.follow(link).text)]
    with time_machine.travel(now() + timedelta(minutes=55)):
        undos.append(undo_link(scenario.visitor.follow(link).text))
    with time_machine.travel(now() + timedelta(minutes=62)):
        for undo in undos:
            assert "Nothing was changed" in scenario.visitor.follow(undo).text
        assert not scenario.is_member()
        again = scenario.visitor.follow(link)
        assert "You’ve left the group" in again.text
        assert "/undo" not in again.text


def test_undo_does_not_bring_back_a_member_who_asked_for_no_more_email(scenario):
    not_me = link_to(scenario.ask(), "not-me")
    scenario.visitor.follow(link_to(scenario.relay.to(ADA)[0], "confirm"))
    leave = link_to(scenario.mails()[-1], "leave")
    undo = undo_link(scenario.visitor.follow(leave).text)
    scenario.visitor.follow(not_me, choice="never")
    scenario.worker.drain()
    assert "Nothing was changed" in scenario.visitor.follow(undo).text
    assert not scenario.is_member()


def test_the_page_after_a_button_of_an_email_is_in_the_emails_language(scenario):
    leave = link_to(scenario.issue_to(language="es"), "leave")
    in_english = scenario.visitor.open(leave.replace("lang=es", "lang=en")).text
    assert "Emails come in <strong>Spanish</strong>." in in_english
    reminded = scenario.visitor.follow(leave.replace("?", "/remind?"), remind="yes")
    assert scenario.subscription().is_reminded
    for page in (reminded, scenario.visitor.follow(leave)):
        assert page.headers["Content-Language"] == "es"
