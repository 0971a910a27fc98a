"""The office takes one address out of a group, without learning whether it was in it."""

import pytest
from sqlalchemy import update

from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.members import service as members
from belong_mail.members.jobs import RemoveAddress
from belong_mail.members.models import Subscription
from tests.browser_client import Form, html_of, link_to, text_of
from tests.counting import statements_of
from tests.db_dump import dump_of, kept_of, trail
from tests.factories import group_named
from tests.scenario import ADA, VILLAGE

PAGE = "/office/addresses"
BOB, INBOX = "bob@dpsk12.org", "dps-belong@example.org"


def ask(office, address: str = ADA, what: str = "remove", slug: str = VILLAGE):
    return office.send(PAGE, group=slug, email=address, what=what)


def told(scenario, address: str = ADA) -> list[str]:
    subjects = scenario.subjects(address)
    return [each for each in subjects if each == "You’re no longer in a group"]


def test_the_office_removes_an_address_from_one_group_only_and_tells_it(office, scenario):
    scenario.enter()
    scenario.enter(slug="asian")
    answer = ask(office, f" {ADA.upper()} ")
    assert answer.status_code == 303
    assert ADA.lower() not in answer.location.lower()
    assert "whether or not the address was in the group" in office.open(answer.location).text
    assert told(scenario) == ["You’re no longer in a group"]
    mail = scenario.relay.to(ADA)[-1]
    for part in (text_of(mail), html_of(mail)):
        assert "The Belong office removed this address from The Village Belong Group." in part
        assert "/contact?lang=en" in part
    assert "Village" not in str(mail["Subject"])
    assert not scenario.is_member()
    assert scenario.is_member(slug="asian")
    scenario.enter()
    assert scenario.is_member()


def test_no_group_is_chosen_before_somebody_chooses_it_and_each_deed_is_a_button(office):
    page = office.open(PAGE).text
    assert Form(page).fields["group"] == ""
    for what, words in (
        ("remove", "Remove"),
        ("bar", "Remove, and don’t let it join again"),
        ("let-in", "Let it join again"),
    ):
        assert f'name="what" value="{what}">{words}</button>' in page
    answer = ask(office, slug="")
    assert answer.status_code == 422
    assert "Choose a group." in answer.text


def test_an_earlier_link_does_not_bring_back_an_address_that_the_office_removed(office, scenario):
    welcome = scenario.enter()
    asked = scenario.confirm_link(BOB)
    leave = link_to(welcome, "leave")
    scenario.visitor.follow(leave)
    ask(office)
    ask(office, BOB)
    scenario.worker.drain()
    scenario.visitor.press(asked)
    scenario.visitor.follow(leave.replace("?", "/undo?"))
    assert not scenario.is_member()
    assert not scenario.is_member(BOB)
    assert told(scenario) == told(scenario, BOB) == ["You’re no longer in a group"]


def test_somebody_who_wants_no_email_is_not_told_that_the_office_removed_them(office, scenario):
    confirm = scenario.confirm_link()
    scenario.visitor.follow(confirm)
    scenario.execute(update(Subscription).values(is_suppressed=True))
    ask(office)
    scenario.worker.drain()
    assert told(scenario) == []


def test_a_barred_address_cannot_join_that_group_until_it_is_let_in(office, scenario):
    scenario.enter()
    stranger = "stranger@dpsk12.org"
    ask(office, what="bar")
    ask(office, stranger, "bar")
    assert len(told(scenario)) == 1
    assert scenario.rows("barred_addresses") == 2
    before = len(scenario.mails())
    answers = [scenario.visitor.join(VILLAGE, each) for each in (ADA, BOB, stranger)]
    assert [each.location.split("/")[1] for each in answers] == ["check-your-inbox"] * 3
    assert len(scenario.mails()) == before
    assert len(scenario.mails(BOB)) == 1
    assert scenario.mails(stranger) == []
    scenario.visitor.join(VILLAGE, "stranger+tag@dpsk12.org")
    assert scenario.mails("stranger+tag@dpsk12.org") == [], "a plus tag is no way round it"
    scenario.enter(slug="asian")
    ask(office, what="bar")
    ask(office, what="let-in")
    scenario.worker.drain()
    assert scenario.rows("barred_addresses") == 1
    scenario.enter()
    assert scenario.is_member()


def test_nobody_moves_to_an_address_that_a_group_does_not_let_in(office, scenario):
    scenario.enter()
    scenario.enter(slug="asian")
    ask(office, BOB, "bar")
    scenario.visitor.send("/my-groups", email=ADA)
    sheet = link_to(scenario.mails()[-1], "my-groups").partition("?")[0]
    scenario.visitor.send(f"{sheet}/change-address", email=BOB)
    scenario.visitor.press(link_to(scenario.mails(BOB)[-1], "change-address"))
    scenario.worker.drain()
    assert not scenario.is_member(BOB)
    assert scenario.is_member(BOB, "asian")


def test_the_page_answers_alike_in_the_same_statements_for_every_address(office, scenario):
    scenario.enter()
    ask(office, "first@dpsk12.org")
    scenario.worker.drain()
    answers = set()
    for address in (ADA, BOB, "somebody@example.org"):
        with statements_of(scenario.engine) as statements:
            answer = ask(office, address)
        answers.add((answer.status_code, answer.location, answer.text, tuple(statements)))
    assert len(answers) == 1


def test_the_trail_keeps_who_did_it_for_which_group_and_never_the_address(office, scenario):
    for what in (members.REMOVE, members.BAR, members.LET_IN):
        ask(office, what=what)
    scenario.worker.drain()
    kinds = [audit.Kind.ADDRESS_REMOVED, audit.Kind.ADDRESS_BARRED, audit.Kind.ADDRESS_LET_IN]
    entries = trail(scenario.services, *kinds)
    assert {each.group_slug for each in entries} == {VILLAGE}
    by_people = [each for each in entries if each.role == audit.Role.ACCOUNT and each.actor]
    assert [each.kind for each in by_people] == kinds
    assert ADA not in repr(dump_of(scenario.services))


def test_the_inbox_hears_of_a_bar_that_the_web_alone_asks_for_or_lifts(office, scenario):
    """Else nobody would: who is barred gets no email, and no page lists it."""
    told = []
    for what in (members.BAR, members.LET_IN):
        with scenario.services.writing.begin() as session:
            asked = RemoveAddress(group_named(session, VILLAGE).public_id, BOB, what)
            asked.ask(session, scenario.services.sealer)
        told.append(text_of(scenario.mails(INBOX)[-1]))
    assert "remove an address from The Village Belong Group, and not to let it" in told[0]
    assert "asked that an address may join The Village Belong Group again" in told[1]
    assert BOB not in "".join(told)
    kinds = [audit.Kind.ADDRESS_BARRED, audit.Kind.ADDRESS_LET_IN]
    entries = trail(scenario.services, *kinds)
    assert [(each.kind, each.role) for each in entries] == [(k, audit.Role.WORKER) for k in kinds]


def test_so_many_addresses_a_day_and_no_more_also_of_a_web_that_was_broken_into(office, scenario):
    """One that marked all members as gone meanwhile is heard all the same."""
    scenario.enter()
    scenario.enter(BOB)
    scenario.execute(update(Subscription).values(confirmed_at=None, ended_at=now()))
    ask(office, BOB)
    for number in range(20 - 1):
        assert ask(office, f"no{number}@dpsk12.org").status_code == 303
    answer = ask(office)
    assert answer.status_code == 429
    assert "Please try again tomorrow." in answer.text
    assert Form(answer.text).fields["email"] == ADA
    assert told(scenario, BOB) == ["You’re no longer in a group"]
    scenario.execute(update(Subscription).values(confirmed_at=now(), ended_at=None))
    group = scenario.group(VILLAGE)
    asked = RemoveAddress(group.public_id, ADA, members.REMOVE)
    scenario.seal(asked)
    scenario.worker.drain()
    assert scenario.is_member(), "nor does the worker try more"


@pytest.mark.parametrize("wrong", [{"email": ""}, {"email": "x"}, {"what": "all"}, {"group": "no"}])
def test_an_invalid_request_is_explained_and_changes_nothing(office, scenario, wrong):
    typed = {"group": VILLAGE, "email": ADA, "what": "bar", **wrong}
    before = kept_of(scenario.services)
    answer = office.press(PAGE, **{**Form(office.open(PAGE).text).fields, **typed})
    assert answer.status_code == 422
    assert "Problem: " in answer.text
    assert kept_of(scenario.services) == before
