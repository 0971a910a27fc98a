"""Somebody typed another person’s address: “this was not me”, “never mail me again”."""

from datetime import timedelta

import time_machine

from belong_mail.core.db import now
from tests.browser_client import link_to
from tests.db_dump import dump_of
from tests.factories import queue_issue
from tests.scenario import ADA, VILLAGE


def test_somebody_elses_slip_is_forgotten(scenario):
    mail = scenario.ask()
    page = scenario.visitor.open(link_to(mail, "not-me"))
    assert "Cancel the request" in page.text
    assert "Don’t email me again" in page.text

    done = scenario.visitor.follow(link_to(mail, "not-me"), choice="forget")
    assert "We canceled the request" in done.text
    assert scenario.visitor.follow(link_to(mail, "confirm")).status_code == 409
    assert not scenario.is_member()
    assert scenario.rows("pending_confirmations") == 0
    assert scenario.rows("suppressions") == 0
    with time_machine.travel(now() + timedelta(days=1)):
        scenario.enter()
    assert scenario.is_member(), "another day"


def test_never_mail_me_again_holds_in_every_group(scenario):
    scenario.enter(slug="lgbtq")
    not_me = link_to(scenario.ask(slug="asian"), "not-me")
    done = scenario.visitor.follow(not_me, choice="never")
    assert "We won’t email you again" in done.text
    got = len(scenario.mails())
    [(mark, reason, since)] = dump_of(scenario.services)["suppressions"]
    assert mark == scenario.keyring.index.suppressed(ADA)
    assert (reason, since) == ("asked", now().date())

    with scenario.services.writing.begin() as session:
        queue_issue(session, "lgbtq")
    for slug in ("the-village", "asian", "lgbtq"):
        answer = scenario.visitor.join(slug, ADA.upper().replace("DPSK12.ORG", "dpsk12.org"))
        assert answer.location.startswith("/check-your-inbox/")
    assert len(scenario.mails()) == got
    assert not scenario.is_member(slug="lgbtq")
    assert scenario.subscription(slug=VILLAGE) is None
    assert scenario.rows("jobs") == 0


def test_mail_that_already_waits_stays_here(scenario):
    scenario.enter(slug="lgbtq")
    not_me = link_to(scenario.ask(slug="asian"), "not-me")
    scenario.visitor.join(VILLAGE, ADA)
    scenario.worker._read_requests()
    scenario.visitor.follow(not_me, choice="never")
    scenario.worker._read_requests()
    got = len(scenario.relay.to(ADA))
    assert len(scenario.mails()) == got


def test_pressing_again_changes_nothing(scenario):
    not_me = link_to(scenario.ask(), "not-me")
    for choice in ("never", "never", "forget"):
        assert scenario.visitor.follow(not_me, choice=choice).status_code == 200
    scenario.worker.drain()
    assert scenario.rows("suppressions") == 1
    assert not scenario.is_member()


def test_a_press_without_a_choice_only_forgets(scenario):
    not_me = link_to(scenario.ask(), "not-me")
    assert "We canceled the request" in scenario.visitor.follow(not_me).text
    scenario.worker.drain()
    assert scenario.rows("suppressions") == 0


def test_the_link_on_the_confirm_page_works_like_the_mailed_one(scenario):
    page = scenario.visitor.open(scenario.confirm_link()).text
    path = page.partition('href="/not-me/')[2].partition('"')[0]
    assert scenario.visitor.open(f"/not-me/{path}").status_code == 200
    scenario.visitor.follow(f"/not-me/{path}", choice="never")
    scenario.worker.drain()
    assert scenario.rows("suppressions") == 1
