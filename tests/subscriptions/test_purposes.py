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
from tests.scenario import ADA, Stage

PAGES = {
    "confirm": Purpose.CONFIRM,
    "not-me": Purpose.REFUSE,
    "leave": Purpose.LEAVE,
    "undo": Purpose.UNDO_LEAVE,
    "one-click": Purpose.ONE_CLICK,
}


def ids(stage: Stage) -> list[str]:
    """List every opaque id that a link could be about."""
    with stage.services.writing.begin() as session:
        member = make_member(session, stage.keyring, "bob@dpsk12.org")
        names = [member.public_id]
    stage.confirm_link()
    asked = stage.subscription()
    assert asked is not None
    with stage.services.reading.begin() as session:
        return [
            *names,
            asked.public_id,
            session.scalars(select(PendingConfirmation.confirm_id)).one(),
        ]


def test_a_token_of_one_purpose_opens_no_other_page(stage: Stage) -> None:
    names = ids(stage)
    before = kept_of(stage.services)
    for page, right in PAGES.items():
        for purpose in Purpose:
            for name in names if purpose is not right else ():
                token = stage.services.tokens.sign(purpose, name, now())
                body = {"List-Unsubscribe": "One-Click", "choice": "never"}
                assert stage.visitor.open(f"/{page}/{token}").status_code == 404
                assert stage.visitor.press(f"/{page}/{token}", **body).status_code == 404
    assert kept_of(stage.services) == before


def test_a_token_about_a_thing_of_another_kind_opens_nothing(stage: Stage) -> None:
    member, _asked, wish = ids(stage)
    before = kept_of(stage.services)
    for page, name in (("confirm", member), ("not-me", wish), ("leave", wish), ("undo", wish)):
        token = stage.services.tokens.sign(PAGES[page], name, now())
        over = 404 if page == "confirm" else 410
        assert stage.visitor.open(f"/{page}/{token}").status_code == over
        assert stage.visitor.press(f"/{page}/{token}").status_code == over
    assert kept_of(stage.services) == before


@pytest.mark.parametrize("page", ["leave", "not-me", "one-click"])
def test_links_that_end_something_work_for_ever(stage: Stage, page: str) -> None:
    with stage.services.writing.begin() as session:
        member = make_member(session, stage.keyring, ADA)
        token = stage.services.tokens.sign(PAGES[page], member.public_id, now())
    with time_machine.travel(now() + timedelta(days=4000)):
        answer = stage.visitor.press(f"/{page}/{token}", **{"List-Unsubscribe": "One-Click"})
    assert answer.status_code in {200, 204}
    assert not stage.is_member()


def test_tokens_carry_opaque_ids_and_nothing_else(stage: Stage) -> None:
    link = stage.confirm_link("ada.lovelace@dpsk12.org", "lgbtq")
    token = link.partition("/confirm/")[2].partition("?")[0]
    assert all(len(part) <= 44 for part in token.split("."))
    for word in ("lovelace", "lgbtq", "dpsk12"):
        assert word not in token.lower()
