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
from belong_mail.ops import purge
from tests.browser_client import link_to
from tests.db_dump import kept_of
from tests.factories import make_member, queue_issue
from tests.scenario import ADA, VILLAGE, Stage

BODY = {"List-Unsubscribe": "One-Click"}


def links(stage: Stage, slug: str = VILLAGE) -> tuple[str, str]:
    """Make Ada a member, send an issue, and return its links: one click, and the footer's."""
    with stage.services.writing.begin() as session:
        make_member(session, stage.keyring, ADA, slug)
        queue_issue(session, slug)
    mail = stage.mails()[-1]
    return mail["List-Unsubscribe"].strip("<>"), link_to(mail, "leave")


def undo_link(page: str) -> str:
    return "/undo/" + page.partition('action="/undo/')[2].partition('"')[0]


def states(stage: Stage) -> dict[str, int]:
    with stage.services.reading.begin() as session:
        issue = session.scalars(select(Newsletter).order_by(Newsletter.id.desc())).first()
        assert issue is not None
        return newsletters.report(session, issue)


def test_the_footers_link_asks_and_the_button_acts(stage: Stage) -> None:
    _, link = links(stage)
    before = kept_of(stage.services)
    page = stage.visitor.open(link)
    assert "Leave The Village Belong Group?" in page.text
    button = "Leave The Village Belong Group</button>"
    assert page.text.index(button) + len(button) == page.text.index("</button>") + len("</button>")
    stage.visitor.client.head(link.removeprefix("http://localhost:5000"))
    assert kept_of(stage.services) == before

    done = stage.visitor.press(link)
    assert "You’ve left the group" in done.text
    assert not stage.is_member()


def test_leaving_one_group_leaves_no_other(stage: Stage) -> None:
    links(stage, "lgbtq")
    _, link = links(stage)
    stage.visitor.press(link)
    assert stage.is_member(slug="lgbtq")
    assert not stage.is_member()
    assert "LGBTQ" not in stage.visitor.open(link).text


def test_one_click_leaves_without_cookie_page_or_redirect(stage: Stage) -> None:
    link, _ = links(stage)
    path = link.removeprefix("http://localhost:5000")
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        for _ in range(2):
            answer = stage.visitor.client.post(path, data=BODY, content_type=kind)
            assert answer.status_code == 204
            assert answer.data == b""
            assert "Location" not in answer.headers
            assert "Set-Cookie" not in answer.headers
        assert not stage.is_member()
        stage.visitor.press(undo_link(stage.visitor.press(leave_link(stage)).text))
        assert stage.is_member()


def leave_link(stage: Stage) -> str:
    return link_to(stage.relay.to(ADA)[-1], "leave")


def test_one_click_by_the_mailbox_providers_machine_needs_no_header_of_ours(stage: Stage) -> None:
    link, _ = links(stage)
    answer = stage.visitor.client.post(
        link.removeprefix("http://localhost:5000"),
        data=b"List-Unsubscribe=One-Click",
        content_type="application/x-www-form-urlencoded",
        headers={"User-Agent": "Provider/1.0", "Referer": "https://mail.example.org/"},
    )
    assert answer.status_code == 204
    assert not stage.is_member()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
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
    ids=["a line end", "spellings", "a part with a type"],
)
def test_one_click_as_senders_write_it(stage: Stage, kind: str, body: bytes) -> None:
    link, _ = links(stage)
    path = link.removeprefix("http://localhost:5000")
    assert stage.visitor.client.post(path, data=body, content_type=kind).status_code == 204
    assert not stage.is_member()


def test_a_look_that_carries_the_one_click_words_changes_nothing_and_alarms_nobody(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    link, _ = links(stage)
    path = link.removeprefix("http://localhost:5000")
    caplog.clear()
    for method in ("GET", "HEAD"):
        assert stage.visitor.client.open(path, method=method, data=BODY).status_code == 200
    assert stage.is_member()
    assert caplog.text == ""


def test_looking_at_the_one_click_link_shows_the_page_and_changes_nothing(stage: Stage) -> None:
    link, _ = links(stage)
    path = link.removeprefix("http://localhost:5000")
    before = kept_of(stage.services)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert stage.visitor.client.open(path, method=method).status_code == 200
    page = stage.visitor.open(link).text
    assert "Leave The Village Belong Group?" in page
    assert kept_of(stage.services) == before
    action = page.partition('action="')[2].partition('"')[0]
    assert action.startswith("/leave/")
    assert "You’ve left the group" in stage.visitor.press(action).text


def test_a_post_that_is_not_one_click_is_refused(stage: Stage) -> None:
    link, _ = links(stage)
    bodies: list[dict[str, Any]] = [{}, {"x": "List-Unsubscribe"}]
    bodies += [{"List-Unsubscribe": value} for value in ("", "x", "one-click", ["x", "One-Click"])]
    for body in bodies:
        answer = stage.visitor.press(link, **body)
        assert answer.status_code == 400, body
        assert "Leave The Village Belong Group?" in answer.text, body
    assert stage.is_member()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://mail.example.org"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Origin": "null"},
    ],
)
def test_one_click_comes_through_from_a_webmails_page(
    stage: Stage, headers: dict[str, str]
) -> None:
    link, footer = links(stage)
    stage.visitor.headers = headers
    assert stage.visitor.press(footer, **BODY).status_code == 403
    assert stage.is_member()
    answer = stage.visitor.press(link, **BODY)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Set-Cookie" not in answer.headers
    assert not stage.is_member()


def test_one_click_after_the_row_is_gone_is_still_fine(stage: Stage) -> None:
    link, footer = links(stage)
    stage.visitor.press(link, **BODY)
    with time_machine.travel(now() + timedelta(days=31)):
        with stage.services.writing.begin() as session:
            purge.purge_all(session)
        assert stage.subscription() is None
        assert stage.visitor.press(link, **BODY).status_code == 204
        assert stage.visitor.open(footer).status_code == 410


def test_undoing_keeps_since_when_one_is_a_member_and_brings_nothing_of_meanwhile(
    stage: Stage,
) -> None:
    with stage.services.writing.begin() as session:
        make_member(session, stage.keyring, "aaron@dpsk12.org")
    _, link = links(stage)
    before = stage.subscription()
    assert before is not None
    with time_machine.travel(now() + timedelta(days=9), tick=False) as clock:
        undo = undo_link(stage.visitor.press(link).text)
        with stage.services.writing.begin() as session:
            make_member(session, stage.keyring, "bob@dpsk12.org")
            queue_issue(session, subject="While Ada was away")
        clock.shift(timedelta(minutes=5))
        assert stage.visitor.press(undo).status_code == 200
        after = stage.subscription()
        assert after is not None
        assert after.is_active
        assert after.confirmed_at == before.confirmed_at
        assert after.pause is None
        assert "While Ada was away" not in [mail["Subject"] for mail in stage.mails()]
        assert states(stage) == states(stage) | {"recipients": 2, "accepted": 2, "withdrawn": 0}
        with stage.services.writing.begin() as session:
            queue_issue(session, subject="With Ada again")
        assert stage.mails()[-1]["Subject"] == "With Ada again"


def test_undoing_a_leave_keeps_a_pause(stage: Stage) -> None:
    _, link = links(stage)
    until = now() + timedelta(days=9)
    with stage.services.writing.begin() as session:
        [member] = session.scalars(select(Subscription))
        member.paused_until = until
    stage.visitor.press(undo_link(stage.visitor.press(link).text))
    after = stage.subscription()
    assert after is not None
    assert after.pause == until


def test_leaving_holds_back_mail_that_already_waits(stage: Stage) -> None:
    link, _ = links(stage)
    with stage.services.writing.begin() as session:
        make_member(session, stage.keyring, "bob@dpsk12.org")
        queue_issue(session, subject="The second issue")
    stage.visitor.press(link, **BODY)
    assert [mail["Subject"] for mail in stage.mails()] == ["This month with us"]
    assert [mail["Subject"] for mail in stage.mails("bob@dpsk12.org")] == ["The second issue"]
    assert states(stage) == states(stage) | {"recipients": 2, "accepted": 1, "withdrawn": 1}


def test_who_leaves_before_the_welcome_has_left_gets_none(stage: Stage) -> None:
    link = stage.confirm_link()
    stage.visitor.press(link)
    with stage.services.writing.begin() as session:
        for member in session.scalars(select(Subscription)):
            members.leave(session, member.public_id)
    assert [mail["Subject"] for mail in stage.mails()] == ["Confirm your request to DPS Belong"]


def test_leaving_holds_back_a_copy_that_is_next_in_line(stage: Stage) -> None:
    """The delivery exists already: the engine asks once more before it writes the message."""
    link, _ = links(stage)
    stage.relay.script("RCPT", "450 4.2.1 Try later")
    with stage.services.writing.begin() as session:
        queue_issue(session, subject="The second issue")
    stage.worker.drain()
    assert states(stage) == states(stage) | {"recipients": 1, "deferred": 1}
    stage.visitor.press(link, **BODY)
    with time_machine.travel(now() + timedelta(hours=1)):
        assert len(stage.mails()) == 1
    assert states(stage) == states(stage) | {"recipients": 1, "withdrawn": 1}


def test_leaving_can_be_undone_within_the_hour(stage: Stage) -> None:
    _, link = links(stage)
    undo = undo_link(stage.visitor.press(link).text)
    with time_machine.travel(now() + timedelta(minutes=59)):
        before = kept_of(stage.services)
        assert stage.visitor.open(undo).status_code == 200
        assert kept_of(stage.services) == before
        for _ in range(2):
            assert "Good to have you back" in stage.visitor.press(undo).text
        assert stage.is_member()
        with stage.services.writing.begin() as session:
            queue_issue(session, subject="After coming back")
        assert stage.mails()[-1]["Subject"] == "After coming back"


def test_after_the_hour_leaving_is_not_undone(stage: Stage) -> None:
    _, link = links(stage)
    undo = undo_link(stage.visitor.press(link).text)
    with time_machine.travel(now() + timedelta(minutes=62)):
        assert stage.visitor.press(undo).status_code == 404
        assert not stage.is_member()
        again = stage.visitor.press(link)
        assert "You’ve left the group" in again.text
        assert "/undo/" not in again.text


def test_pressing_leave_late_again_does_not_open_the_way_back(stage: Stage) -> None:
    _, link = links(stage)
    stage.visitor.press(link)
    with time_machine.travel(now() + timedelta(minutes=55)):
        undo = undo_link(stage.visitor.press(link).text)
    with time_machine.travel(now() + timedelta(minutes=70)):
        assert stage.visitor.press(undo).status_code == 404
    assert not stage.is_member()


def test_who_asked_to_be_left_alone_is_not_brought_back_by_undo(stage: Stage) -> None:
    not_me = link_to(stage.ask(), "not-me")
    stage.visitor.press(link_to(stage.relay.to(ADA)[0], "confirm"))
    leave = link_to(stage.mails()[-1], "leave")
    undo = undo_link(stage.visitor.press(leave).text)
    stage.visitor.press(not_me, choice="never")
    stage.worker.drain()
    assert stage.visitor.press(undo).status_code == 404
    assert not stage.is_member()


def test_a_link_mailed_long_ago_still_leaves_after_joining_again(stage: Stage) -> None:
    _, link = links(stage)
    stage.visitor.press(link)
    stage.enter()
    assert stage.is_member()
    assert stage.visitor.press(link).status_code == 200
    assert not stage.is_member()


def test_leaving_in_spanish(stage: Stage) -> None:
    with stage.services.writing.begin() as session:
        make_member(session, stage.keyring, ADA, language="es")
        queue_issue(session)
    link = link_to(stage.mails()[-1], "leave")
    page = stage.visitor.open(link)
    assert page.headers["Content-Language"] == "es"
    done = stage.visitor.press(link)
    assert done.headers["Content-Language"] == "es"
    assert "Done" not in done.text
    assert stage.visitor.press(undo_link(done.text)).headers["Content-Language"] == "es"
    assert stage.is_member()
