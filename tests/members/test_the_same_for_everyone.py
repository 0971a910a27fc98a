"""Forms answer alike for every address: the same status, body, headers and statements."""

import re
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine

from belong_mail.core.db import now
from belong_mail.members.models import BarredAddress
from tests.browser_client import Form, link_to
from tests.counting import listening
from tests.factories import group_named
from tests.scenario import TELL_ME, VILLAGE

# Kinds of addresses; each name is as long as the others.
STATES = (
    "brand-new", "requested", "is-member", "has-ended", "left-once", "never-you", "is-barred",
    "has-noted",
)  # fmt: skip
MESSAGE = {"topic": "need", "message": "Hello."}
JOIN, PERSONAL = f"/groups/{VILLAGE}/join", f"/groups/{VILLAGE}/join/personal"


def address(state: str) -> str:
    return f"{state}@dpsk12.org"


@pytest.fixture
def town(scenario):
    scenario.confirm_link(address("requested"))
    scenario.enter(address("is-member"))
    for state in ("has-ended", "left-once"):
        leave = link_to(scenario.enter(address(state)), "leave")
        scenario.visitor.follow(leave)
    not_me = link_to(scenario.ask(address("never-you")), "not-me")
    scenario.visitor.follow(not_me, choice="never")
    scenario.wait_for(address("has-noted"))
    with scenario.services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        group.allows_personal_addresses = True
        name = scenario.keyring.index.barred(group.public_id, address("is-barred"))
        session.add(BarredAddress(group_id=group.id, address_index=name))
    scenario.worker.drain()
    return scenario


@contextmanager
def statements_of(scenario):
    """Record every statement, and the length of each value that goes with it."""
    seen: list[tuple[str, Any]] = []

    def record(_conn: Any, _cur: Any, statement: str, given: Any, *_: Any) -> None:
        values = given.values() if isinstance(given, dict) else given
        seen.append((statement, [(type(v), len(v) if isinstance(v, bytes) else 0) for v in values]))

    with listening(scenario.engine, "before_cursor_execute", record):
        yield seen


def seen_by_a_stranger(answer, nonce: str) -> tuple[object, ...]:
    """Return an answer, without what is drawn for each press."""
    headers = sorted((name, value.replace(nonce, "")) for name, value in answer.headers.items())
    text = re.sub(r'name="csrf_token"[^>]*', "", answer.text.replace(nonce, ""))
    return answer.status_code, text, headers


@pytest.mark.parametrize("page", [JOIN, PERSONAL, TELL_ME, "/my-groups", "/contact"])
def test_nobody_learns_from_the_page_or_the_statements_who_belongs(page, town):
    more = MESSAGE if page == "/contact" else {}
    fields = Form(town.visitor.open(page).text).fields | more
    town.visitor.open(town.visitor.send(page, email="somebody@dpsk12.org", **more).location)
    typed = [address(state) for state in STATES]
    if not page.startswith("/groups/"):
        typed.append("elsewhere@other1.org")  # it may have joined once
    answers, statements = [], []
    with time_machine.travel(now(), tick=False):
        for each in typed:
            with statements_of(town) as seen:
                answer = town.visitor.press(page, **fields | {"email": each})
            nonce = answer.location.rpartition("/")[2].partition("?")[0]
            after = town.visitor.open(answer.location)
            answers.append((seen_by_a_stranger(answer, nonce), seen_by_a_stranger(after, nonce)))
            statements.append(seen)

    assert answers[0][0][0] == 303
    assert not any(state in answer.location for state in STATES)
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    for seen_there in answers:
        assert seen_there == answers[0]
    assert sum("INSERT INTO jobs" in statement for statement, _ in statements[0]) == 1
    assert all(seen == statements[0] for seen in statements)


def test_each_address_gets_the_mail_that_helps_it_or_none(town):
    before = {state: len(town.relay.to(address(state))) for state in STATES}
    for state in STATES:
        for _ in range(5 if state == "is-member" else 1):
            town.visitor.join("the-village", address(state))
    town.worker.drain()

    subjects = {
        state: [mail["Subject"] for mail in town.relay.to(address(state))[before[state] :]]
        for state in STATES
    }
    asked = ["Confirm your request to DPS Belong"]
    assert subjects == {
        "brand-new": asked,
        "requested": [],  # the next one waits for a quarter of an hour
        "is-member": ["About your request"],  # once a day at most
        "has-ended": asked,
        "left-once": asked,
        "never-you": [],
        "is-barred": [],
        "has-noted": asked,
    }


@pytest.mark.parametrize(
    ("host", "typed"), [("dpsk12.org", {"language": "xx"}), ("dspk12.org", {})]
)
def test_a_wrong_form_tells_no_more_about_a_member_than_about_anybody(host, typed, town):
    pages = {
        town.visitor.join("the-village", f"{state}@{host}", **typed)
        .text.replace(state, "somebody")
        .partition("csrf_token")[0]
        for state in STATES
    }
    assert len(pages) == 1
