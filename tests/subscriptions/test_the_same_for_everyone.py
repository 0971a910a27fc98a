"""Join answers alike for every address: the same status, body, headers and statements."""

import time

import pytest
import time_machine

from belong_mail.core.db import now
from tests.browser_client import Form, link_to
from tests.scenario import Scenario
from tests.subscriptions.recording import seen_by_a_stranger, statements_of

# Kinds of addresses; each name is as long as the others.
STATES = ("brand-new", "requested", "is-member", "has-ended", "left-once", "never-you")


def address(state: str) -> str:
    return f"{state}@dpsk12.org"


@pytest.fixture
def town(scenario: Scenario) -> Scenario:
    """One address in each state."""
    scenario.confirm_link(address("requested"))
    scenario.enter(address("is-member"))
    for state in ("has-ended", "left-once"):
        leave = link_to(scenario.enter(address(state)), "leave")
        scenario.visitor.follow(leave)
    not_me = link_to(scenario.ask(address("never-you")), "not-me")
    scenario.visitor.follow(not_me, choice="never")
    scenario.worker.drain()
    return scenario


def test_nobody_learns_from_the_page_or_the_statements_who_belongs(town: Scenario) -> None:
    fields = Form(town.visitor.open("/groups/the-village/join").text).fields
    town.visitor.open(town.visitor.join("the-village", "somebody@dpsk12.org").location)
    answers, statements = [], []
    with time_machine.travel(now(), tick=False):
        for state in STATES:
            with statements_of(town) as seen:
                answer = town.visitor.client.post(
                    "/groups/the-village/join", data=fields | {"email": address(state)}
                )
            after = town.visitor.open(answer.location)
            answers.append((*seen_by_a_stranger(answer), *seen_by_a_stranger(after)))
            statements.append(seen)

    assert answers[0][0] == 303
    for seen_there in answers:
        assert seen_there == answers[0]
    assert any("INSERT INTO jobs" in statement for statement, _ in statements[0])
    assert all(seen == statements[0] for seen in statements)


def test_each_address_gets_the_mail_that_helps_it_or_none(town: Scenario) -> None:
    before = {state: len(town.relay.to(address(state))) for state in STATES}
    for state in STATES:
        town.visitor.join("the-village", address(state))
    town.worker.drain()

    subjects = {
        state: [mail["Subject"] for mail in town.relay.to(address(state))[before[state] :]]
        for state in STATES
    }
    assert subjects == {
        "brand-new": ["Confirm your request to DPS Belong"],
        "requested": [],  # the next one waits for a quarter of an hour
        "is-member": ["About your request"],
        "has-ended": ["Confirm your request to DPS Belong"],
        "left-once": ["Confirm your request to DPS Belong"],
        "never-you": [],
    }


def test_a_member_is_told_at_most_once_a_day_that_they_are_in(town: Scenario) -> None:
    for _ in range(5):
        town.visitor.join("the-village", address("is-member"))
    subjects = [mail["Subject"] for mail in town.mails(address("is-member"))]
    assert subjects.count("About your request") == 1


def test_a_wrong_form_tells_no_more_about_a_member_than_about_anybody(town: Scenario) -> None:
    pages = {
        town.visitor.join("the-village", address(state), language="xx")
        .text.replace(state, "somebody")
        .partition("csrf_token")[0]
        for state in STATES
    }
    assert len(pages) == 1


def test_joining_leaves_no_cookie_and_is_not_cached(scenario: Scenario) -> None:
    answer = scenario.visitor.join("the-village", "ada@dpsk12.org")
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ada" not in answer.location


def test_a_known_address_is_answered_as_fast_as_an_unknown_one(town: Scenario) -> None:
    """Only a coarse check: the statements are the same, see above.

    The quickest of each is what a machine does that is not busy with anything else.
    """
    fields = Form(town.visitor.open("/groups/the-village/join").text).fields
    times: dict[str, list[float]] = {"brand-new": [], "is-member": []}
    for _ in range(15):
        for state, taken in times.items():
            begun = time.perf_counter()
            data = fields | {"email": address(state)}
            town.visitor.client.post("/groups/the-village/join", data=data)
            taken.append(time.perf_counter() - begun)
    new, known = (min(taken) for taken in times.values())
    assert abs(new - known) < 0.05
