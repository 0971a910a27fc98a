"""People say what they would help with when they join, and change it in “my groups”."""

import json
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.members import self_service_tasks
from belong_mail.members.models import PendingConfirmation, Subscription
from belong_mail.ops import rooms
from tests.browser_client import Form, link_to, text_of
from tests.db_dump import dump_of
from tests.factories import group_named
from tests.group_interests.charter import BEN, CHARTER, EVENTS, SLUG, Helpers
from tests.scenario import ADA

JOIN = f"/groups/{SLUG}/join"


def test_who_joins_offers_help_and_it_is_kept(scenario: Helpers) -> None:
    scenario.joined(ADA, CHARTER)
    scenario.joined(BEN)
    assert scenario.ticked(ADA) == {CHARTER}
    assert scenario.ticked(BEN) == set()


def test_the_form_says_before_sending_what_is_kept_and_what_is_not(scenario: Helpers) -> None:
    page = scenario.visitor.open(JOIN).text
    for words in (
        CHARTER,
        "We keep your choices with your membership, encrypted.",
        "They see who that is only if you ask to be introduced.",
        "This form doesn’t change your choices",
    ):
        assert words in page
    scenario.invite_lead("lead@dpsk12.org", "asian")
    page = scenario.visitor.open("/groups/asian/join").text
    assert "interests" not in page.replace("group_interests", "")
    assert "If you don’t, we don’t keep them." in page
    spanish = scenario.visitor.open(f"{JOIN}?lang=es").text
    assert "Ayudar a escribir los estatutos" in spanish
    assert CHARTER not in spanish


def test_nothing_but_the_groups_own_interests_can_be_ticked(scenario: Helpers) -> None:
    for wrong in ("", "x", "0", scenario.interest(EVENTS, "the-village")):
        answer = scenario.visitor.join(SLUG, ADA, interests=[scenario.interest(CHARTER), wrong])
        assert answer.status_code == 422
    assert scenario.rows("requests") == 0


def test_what_was_ticked_is_sealed_until_the_worker_reads_it(scenario: Helpers) -> None:
    chosen = scenario.interest(CHARTER)
    scenario.visitor.join(SLUG, ADA, interests=[chosen])
    [row] = dump_of(scenario.services)["requests"]
    assert chosen not in repr(row)
    assert scenario.rows("subscriptions") == 0


def test_who_is_in_already_changes_nothing_by_the_form_and_reads_the_same(
    scenario: Helpers,
) -> None:
    scenario.joined(ADA, CHARTER)
    answers = {
        (sent.status_code, sent.location.split("/")[1])
        for sent in (
            scenario.visitor.join(SLUG, address, interests=[scenario.interest(EVENTS)])
            for address in (ADA, BEN)
        )
    }
    assert len(answers) == 1
    assert scenario.ticked(ADA) == {CHARTER}


def test_who_is_introduced_tells_the_leads_what_they_would_help_with(scenario: Helpers) -> None:
    lead = "lead@dpsk12.org"
    scenario.invite_lead(lead, SLUG)
    scenario.joined(ADA, CHARTER, EVENTS, introduce_me="y")
    [mail] = scenario.mails(lead)
    assert f"{CHARTER}, {EVENTS}" in " ".join(text_of(mail).split())
    scenario.joined(BEN, CHARTER)
    assert len(scenario.mails(lead)) == 1


def test_a_second_sign_up_adds_to_the_first_and_pressing_again_brings_nothing_back(
    scenario: Helpers,
) -> None:
    first = scenario.confirm_link(ADA, SLUG)
    with time_machine.travel(now() + timedelta(hours=3), tick=True):
        second = scenario.confirm_link(ADA, SLUG, interests=[scenario.interest(CHARTER)])
        scenario.visitor.press(first)
        assert scenario.ticked(ADA) == set()
        scenario.visitor.press(second)
        assert scenario.ticked(ADA) == {CHARTER}
        scenario.change(scenario.link(), ADA)
        assert scenario.ticked(ADA) == set()
        scenario.visitor.press(second)
        assert scenario.ticked(ADA) == set()


def test_a_choice_that_is_retired_before_the_button_is_not_kept(scenario: Helpers) -> None:
    chosen = [scenario.interest(CHARTER), scenario.interest(EVENTS)]
    link = scenario.confirm_link(ADA, SLUG, interests=chosen)
    scenario.retire(CHARTER)
    scenario.visitor.press(link)
    assert scenario.ticked(ADA) == {EVENTS}


def test_my_groups_shows_the_choices_and_changes_them_at_once(scenario: Helpers) -> None:
    scenario.made(ADA, CHARTER)
    sheet = scenario.link()
    assert scenario.shown(sheet, ADA) == {CHARTER}
    assert scenario.change(sheet, ADA, EVENTS) == 303
    assert scenario.shown(sheet, ADA) == {EVENTS}
    member = scenario.subscription(ADA, SLUG)
    assert member is not None
    page = scenario.visitor.open(f"{sheet}?done=interests&of={member.public_id}").text
    assert "Saved: what you’d like to help with." in page
    assert scenario.ticked(ADA) == {EVENTS}
    assert scenario.change(sheet, ADA) == 303
    assert scenario.shown(sheet, ADA) == set()
    assert scenario.ticked(ADA) == set()
    assert scenario.shown(scenario.link(), ADA) == set()


def test_choices_in_one_group_leave_the_others_alone(scenario: Helpers) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(ADA, EVENTS, slug="the-village")
    sheet = scenario.link()
    assert scenario.change(sheet, ADA) == 303
    assert scenario.ticked(ADA) == set()
    assert scenario.ticked(ADA, "the-village") == {EVENTS}
    assert scenario.shown(sheet, ADA, "the-village") == {EVENTS}


def test_a_group_without_interests_asks_nothing(scenario: Helpers) -> None:
    scenario.made(ADA, slug="asian")
    assert ":interests" not in scenario.visitor.open(scenario.link()).text


def test_another_language_keeps_what_is_ticked_and_not_saved(scenario: Helpers) -> None:
    public_id = scenario.made(ADA, CHARTER)
    sheet, name = scenario.link(), f"{public_id}:interests"
    typed = {name: [scenario.interest(EVENTS)], "switch_language": "es"}
    page = scenario.visitor.press(f"{sheet}/pause?lang=es", **typed)
    assert page.status_code == 200
    assert Form(page.text).fields[name] == scenario.interest(EVENTS)
    assert scenario.ticked(ADA) == {CHARTER}


def test_somebody_elses_choices_are_not_changed_by_ones_own_link(scenario: Helpers) -> None:
    theirs = scenario.made(BEN, CHARTER)
    scenario.made(ADA)
    sheet = scenario.link()
    before = scenario.rows("requests")
    answer = scenario.visitor.press(f"{sheet}/interests", membership=theirs)
    assert answer.status_code == 404
    assert scenario.rows("requests") == before
    assert scenario.ticked(BEN) == {CHARTER}


def test_the_worker_takes_choices_for_no_membership_that_is_not_on_the_list(
    scenario: Helpers,
) -> None:
    """Whoever broke into the web seals a request with a list of their own, for another's row."""
    theirs, own = scenario.made(BEN, CHARTER), scenario.made(ADA)
    sheet = scenario.link()
    scenario.change(sheet, ADA, EVENTS)
    with scenario.services.writing.begin() as session:
        [job] = session.scalars(select(Job))
        said = json.loads(scenario.keyring.opener.open(job.sealed or b"", sealed_for(job.kind)))
        assert said["membership"] == own
        forged = json.dumps({**said, "membership": theirs}).encode()
        job.sealed = scenario.services.sealer.seal(forged, sealed_for(job.kind))
    assert scenario.ticked(BEN) == {CHARTER}
    assert scenario.ticked(ADA) == set()


def test_who_has_left_offers_nothing_any_more(scenario: Helpers) -> None:
    public_id = scenario.made(ADA, CHARTER)
    sheet = scenario.link()
    scenario.visitor.press(f"{sheet}/leave", membership=public_id)
    assert scenario.visitor.press(f"{sheet}/interests", membership=public_id).status_code == 404
    scenario.visitor.press(f"{sheet}/undo", membership=public_id)
    assert scenario.ticked(ADA) == {CHARTER}
    scenario.visitor.press(f"{sheet}/leave", membership=public_id)
    scenario.enter(ADA, SLUG)
    assert scenario.ticked(ADA) == set()


def test_a_copy_says_what_was_ticked(scenario: Helpers) -> None:
    scenario.made(ADA, CHARTER, EVENTS)
    scenario.visitor.press(f"{scenario.link()}/copy")
    words = " ".join(text_of(scenario.mails(ADA)[-1]).split())
    assert f"Would like to help with: {CHARTER}, {EVENTS}" in words


def test_what_was_ticked_goes_with_the_membership(scenario: Helpers) -> None:
    scenario.made(ADA, CHARTER)
    left = scenario.made(BEN, CHARTER)
    scenario.visitor.press(f"{scenario.link(BEN)}/leave", membership=left)
    scenario.visitor.press(f"{scenario.link()}/erase")
    scenario.worker.drain()
    with time_machine.travel(now() + timedelta(days=3), tick=True):
        scenario.worker.drain()
        assert scenario.subscription(ADA, SLUG) is None
        assert scenario.rows("subscriptions") == 1
    with (
        time_machine.travel(now() + timedelta(days=31)),
        scenario.services.writing.begin() as session,
    ):
        rooms.purge_all(session)
    assert scenario.rows("subscriptions") == 0


def test_a_new_address_takes_the_choices_along_and_two_memberships_bring_theirs_together(
    scenario: Helpers,
) -> None:
    scenario.made(ADA, CHARTER)
    scenario.made(ADA, EVENTS, slug="the-village")
    scenario.made(BEN, EVENTS)
    scenario.visitor.send(f"{scenario.link()}/change-address", email=BEN)
    scenario.visitor.press(link_to(scenario.mails(BEN)[-1], "change-address"))
    assert scenario.ticked(BEN) == {CHARTER, EVENTS}
    assert scenario.ticked(BEN, "the-village") == {EVENTS}
    assert scenario.rows("subscriptions") == 2


@pytest.mark.parametrize("is_late", [False, True])
def test_a_request_of_a_link_whose_time_is_long_over_changes_nothing(
    scenario: Helpers, *, is_late: bool
) -> None:
    scenario.made(ADA, CHARTER)
    assert scenario.change(scenario.link(), ADA, EVENTS) == 303
    late = self_service_tasks.PERMIT_MAX_AGE if is_late else timedelta(0)
    with time_machine.travel(now() + late, tick=True):
        assert scenario.ticked(ADA) == ({CHARTER} if is_late else {EVENTS})


def test_the_worker_gives_memberships_of_an_older_version_a_list(scenario: Helpers) -> None:
    scenario.made(ADA)
    with scenario.services.writing.begin() as session:
        session.scalars(select(Subscription)).one().wrapped_ticks = None
    assert scenario.ticked(ADA) == set()
    scenario.minute()
    with scenario.services.reading.begin() as session:
        assert session.scalars(select(Subscription)).one().wrapped_ticks is not None


def test_a_sign_up_of_an_older_version_is_read(scenario: Helpers) -> None:
    with scenario.services.writing.begin() as session:
        group = group_named(session, SLUG)
        said = {"address": ADA, "language": "en", "group": group.public_id}
        sealed = scenario.services.sealer.seal(json.dumps(said).encode(), sealed_for("join"))
        session.add(Job(kind="join", group_id=group.id, sealed=sealed))
    link = link_to(scenario.mails(ADA)[-1], "confirm")
    with scenario.services.writing.begin() as session:
        session.scalars(select(PendingConfirmation)).one().wrapped_ticks = None
    scenario.visitor.press(link)
    assert scenario.ticked(ADA) == set()
