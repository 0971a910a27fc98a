"""Leaving: at once, with one click, undone within the hour; for this group only."""

from datetime import timedelta

import time_machine
from sqlalchemy import select

from belong_mail import retention
from belong_mail.db import now
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Subscription
from tests.dump import dump_of
from tests.factories import make_member, queue_issue
from tests.people import link_to
from tests.stage import ADA, VILLAGE, Stage

BODY = {"List-Unsubscribe": "One-Click"}


def links(stage: Stage, slug: str = VILLAGE) -> tuple[str, str]:
    """Make Ada a member, send an issue, and return its links: one click, and the footer's."""
    with stage.parts.writing.begin() as session:
        make_member(session, stage.keyring, ADA, slug)
        queue_issue(session, slug)
    mail = stage.mails()[-1]
    return mail["List-Unsubscribe"].strip("<>"), link_to(mail, "leave")


def undo_link(page: str) -> str:
    return "/undo/" + page.partition('action="/undo/')[2].partition('"')[0]


def states(stage: Stage) -> dict[str, int]:
    with stage.parts.reading.begin() as session:
        issue = session.scalars(select(Newsletter).order_by(Newsletter.id.desc())).first()
        assert issue is not None
        return newsletters.report(session, issue)


def test_the_footers_link_asks_and_the_button_acts(stage: Stage) -> None:
    _, link = links(stage)
    before = dump_of(stage.parts)
    page = stage.visitor.open(link)
    assert "Leave The Village?" in page.text
    assert page.text.index("Leave The Village</button>") == page.text.index("</button>") - len(
        "Leave The Village"
    )
    stage.visitor.client.head(link.removeprefix("http://localhost:5000"))
    assert dump_of(stage.parts) == before

    done = stage.visitor.press(link)
    assert "Done: you have left" in done.text
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


def test_looking_at_the_one_click_link_shows_the_page_and_changes_nothing(stage: Stage) -> None:
    link, _ = links(stage)
    path = link.removeprefix("http://localhost:5000")
    before = dump_of(stage.parts)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert stage.visitor.client.open(path, method=method).status_code == 200
    page = stage.visitor.open(link).text
    assert "Leave The Village?" in page
    assert dump_of(stage.parts) == before
    action = page.partition('action="')[2].partition('"')[0]
    assert action.startswith("/leave/")
    assert "Done: you have left" in stage.visitor.press(action).text


def test_a_post_that_is_not_one_click_is_refused(stage: Stage) -> None:
    link, _ = links(stage)
    for body in ({}, {"x": "List-Unsubscribe"}):
        assert stage.visitor.press(link, **body).status_code == 400
    assert stage.is_member()


def test_one_click_after_the_row_is_gone_is_still_fine(stage: Stage) -> None:
    link, footer = links(stage)
    stage.visitor.press(link, **BODY)
    with time_machine.travel(now() + timedelta(days=31)):
        with stage.parts.writing.begin() as session:
            retention.purge(session)
        assert stage.subscription() is None
        assert stage.visitor.press(link, **BODY).status_code == 204
        assert stage.visitor.open(footer).status_code == 404


def test_leaving_holds_back_mail_that_already_waits(stage: Stage) -> None:
    link, _ = links(stage)
    with stage.parts.writing.begin() as session:
        make_member(session, stage.keyring, "bob@dpsk12.org")
        queue_issue(session, subject="The second issue")
    stage.visitor.press(link, **BODY)
    assert [mail["Subject"] for mail in stage.mails()] == ["This month with us"]
    assert [mail["Subject"] for mail in stage.mails("bob@dpsk12.org")] == ["The second issue"]
    assert states(stage) == states(stage) | {"recipients": 2, "accepted": 1, "withdrawn": 1}


def test_who_leaves_before_the_welcome_has_left_gets_none(stage: Stage) -> None:
    link = stage.confirm_link()
    stage.visitor.press(link)
    with stage.parts.writing.begin() as session:
        for member in session.scalars(select(Subscription)):
            subscriptions.leave(session, member.public_id)
    assert [mail["Subject"] for mail in stage.mails()] == ["One tap to confirm"]


def test_leaving_holds_back_a_copy_that_is_next_in_line(stage: Stage) -> None:
    """The delivery exists already: the engine asks once more before it writes the message."""
    link, _ = links(stage)
    stage.relay.script("RCPT", "450 4.2.1 Try later")
    with stage.parts.writing.begin() as session:
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
        before = dump_of(stage.parts)
        assert stage.visitor.open(undo).status_code == 200
        assert dump_of(stage.parts) == before
        for _ in range(2):
            assert "Good to have you back" in stage.visitor.press(undo).text
        assert stage.is_member()
        with stage.parts.writing.begin() as session:
            queue_issue(session, subject="After coming back")
        assert stage.mails()[-1]["Subject"] == "After coming back"


def test_after_the_hour_leaving_is_not_undone(stage: Stage) -> None:
    _, link = links(stage)
    undo = undo_link(stage.visitor.press(link).text)
    with time_machine.travel(now() + timedelta(minutes=62)):
        assert stage.visitor.press(undo).status_code == 404
        assert not stage.is_member()
        again = stage.visitor.press(link)
        assert "Done: you have left" in again.text
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
    with stage.parts.writing.begin() as session:
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
