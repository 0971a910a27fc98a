"""Somebody typed another person’s address: “this was not me”, “never mail me again”."""

from datetime import timedelta

import time_machine

from belong_mail.core.db import now
from tests.browser_client import link_to
from tests.db_dump import dump_of
from tests.factories import queue_issue
from tests.scenario import ADA, VILLAGE, Stage


def test_somebody_elses_slip_is_forgotten(stage: Stage) -> None:
    mail = stage.ask()
    page = stage.visitor.open(link_to(mail, "not-me"))
    assert "Cancel the request" in page.text
    assert "Don’t email me again" in page.text

    done = stage.visitor.press(link_to(mail, "not-me"), choice="forget")
    assert "We canceled the request" in done.text
    assert stage.visitor.press(link_to(mail, "confirm")).status_code == 409
    assert not stage.is_member()
    assert stage.rows("wishes") == 0
    assert stage.rows("suppressions") == 0


def test_who_was_not_meant_may_still_join_another_day(stage: Stage) -> None:
    stage.visitor.press(link_to(stage.ask(), "not-me"), choice="forget")
    with time_machine.travel(now() + timedelta(days=1)):
        stage.enter()
    assert stage.is_member()


def test_never_mail_me_again_holds_in_every_group(stage: Stage) -> None:
    stage.enter(slug="lgbtq")
    not_me = link_to(stage.ask(slug="asian"), "not-me")
    done = stage.visitor.press(not_me, choice="never")
    assert "We won’t email you again" in done.text
    got = len(stage.mails())

    with stage.services.writing.begin() as session:
        queue_issue(session, "lgbtq")
    for slug in ("the-village", "asian", "lgbtq"):
        answer = stage.visitor.join(slug, ADA.upper().replace("DPSK12.ORG", "dpsk12.org"))
        assert answer.location.startswith("/check-your-inbox/")
    assert len(stage.mails()) == got
    assert not stage.is_member(slug="lgbtq")
    assert stage.subscription(slug=VILLAGE) is None
    assert stage.rows("requests") == 0


def test_mail_that_already_waits_stays_here(stage: Stage) -> None:
    stage.enter(slug="lgbtq")
    not_me = link_to(stage.ask(slug="asian"), "not-me")
    stage.visitor.join(VILLAGE, ADA)
    stage.worker._read_requests()
    stage.visitor.press(not_me, choice="never")
    stage.worker._read_requests()
    got = len(stage.relay.to(ADA))
    assert len(stage.mails()) == got


def test_what_is_kept_of_who_wants_to_be_left_alone_is_a_mark_and_a_day(stage: Stage) -> None:
    stage.visitor.press(link_to(stage.ask(), "not-me"), choice="never")
    stage.worker.drain()
    [(mark, reason, since)] = dump_of(stage.services)["suppressions"]
    assert mark == stage.keyring.index.suppressed(ADA)
    assert reason == "asked"
    assert since == now().date()


def test_pressing_again_changes_nothing(stage: Stage) -> None:
    not_me = link_to(stage.ask(), "not-me")
    for choice in ("never", "never", "forget"):
        assert stage.visitor.press(not_me, choice=choice).status_code == 200
    stage.worker.drain()
    assert stage.rows("suppressions") == 1
    assert not stage.is_member()


def test_a_press_without_a_choice_only_forgets(stage: Stage) -> None:
    not_me = link_to(stage.ask(), "not-me")
    assert "We canceled the request" in stage.visitor.press(not_me).text
    stage.worker.drain()
    assert stage.rows("suppressions") == 0


def test_the_link_on_the_confirm_page_works_like_the_mailed_one(stage: Stage) -> None:
    page = stage.visitor.open(stage.confirm_link()).text
    path = page.partition('href="/not-me/')[2].partition('"')[0]
    assert stage.visitor.open(f"/not-me/{path}").status_code == 200
    stage.visitor.press(f"/not-me/{path}", choice="never")
    stage.worker.drain()
    assert stage.rows("suppressions") == 1
