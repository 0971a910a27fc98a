"""Each link does one thing: every purpose at every page, only the right one works."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.members.models import PendingConfirmation
from tests.db_dump import kept_of
from tests.factories import make_member
from tests.scenario import ADA, Scenario

PAGES = {
    "confirm": Purpose.CONFIRM,
    "not-me": Purpose.REFUSE,
    "leave": Purpose.LEAVE,
    "undo": Purpose.UNDO_LEAVE,
    "one-click": Purpose.ONE_CLICK,
}


def ids(scenario: Scenario) -> list[str]:
    """List every opaque id that a link could be about."""
    with scenario.services.writing.begin() as session:
        member = make_member(session, scenario.keyring, "bob@dpsk12.org")
        names = [member.public_id]
    scenario.confirm_link()
    asked = scenario.subscription()
    assert asked is not None
    with scenario.services.reading.begin() as session:
        return [
            *names,
            asked.public_id,
            session.scalars(select(PendingConfirmation.confirm_id)).one(),
        ]


def test_a_token_of_one_purpose_opens_no_other_page(scenario):
    names = ids(scenario)
    before = kept_of(scenario.services)
    for page, right in PAGES.items():
        for purpose in Purpose:
            for name in names if purpose is not right else ():
                token = scenario.services.tokens.sign(purpose, name, now())
                body = {"List-Unsubscribe": "One-Click", "choice": "never"}
                assert scenario.visitor.open(f"/{page}/{token}").status_code == 404
                assert scenario.visitor.follow(f"/{page}/{token}", **body).status_code == 404
    assert kept_of(scenario.services) == before


def test_a_token_about_a_thing_of_another_kind_opens_nothing(scenario):
    member, _asked, pending = ids(scenario)
    before = kept_of(scenario.services)
    for page, name in (
        ("confirm", member),
        ("not-me", pending),
        ("leave", pending),
        ("undo", pending),
    ):
        token = scenario.services.tokens.sign(PAGES[page], name, now())
        over = 404 if page == "confirm" else 410
        assert scenario.visitor.open(f"/{page}/{token}").status_code == over
        assert scenario.visitor.follow(f"/{page}/{token}").status_code == over
    assert kept_of(scenario.services) == before


@pytest.mark.parametrize("page", ["leave", "not-me", "one-click"])
def test_links_that_end_something_work_for_ever(scenario, page):
    with scenario.services.writing.begin() as session:
        member = make_member(session, scenario.keyring, ADA)
        token = scenario.services.tokens.sign(PAGES[page], member.public_id, now())
    with time_machine.travel(now() + timedelta(days=4000)):
        answer = scenario.visitor.follow(f"/{page}/{token}", **{"List-Unsubscribe": "One-Click"})
    assert answer.status_code in {200, 204}
    assert not scenario.is_member()
