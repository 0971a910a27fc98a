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
from belong_mail.ops import purge
from tests.browser_client import Form, link_to, text_of
from tests.db_dump import dump_of
from tests.factories import group_named
from tests.group_interests.charter import BEN, CHARTER, EVENTS, SLUG, Helpers
from tests.scenario import ADA

JOIN = f"/groups/{SLUG}/join"


def test_who_joins_offers_help_and_it_is_kept(stage: Helpers) -> None:
    stage.joined(ADA, CHARTER)
    stage.joined(BEN)
    assert stage.ticked(ADA) == {CHARTER}
    assert stage.ticked(BEN) == set()


def test_the_form_says_before_sending_what_is_kept_and_what_is_not(stage: Helpers) -> None:
    page = stage.visitor.open(JOIN).text
    for words in (
        CHARTER,
        "We keep your choices with your membership, encrypted.",
        "They see who that is only if you ask to be introduced.",
        "This form doesn’t change your choices",
    ):
        assert words in page
    stage.invite_lead("lead@dpsk12.org", "asian")
    page = stage.visitor.open("/groups/asian/join").text
    assert "interests" not in page.replace("group_interests", "")
    assert "If you don’t, we don’t keep them." in page
    spanish = stage.visitor.open(f"{JOIN}?lang=es").text
    assert "Ayudar a escribir los estatutos" in spanish
    assert CHARTER not in spanish


def test_nothing_but_the_groups_own_interests_can_be_ticked(stage: Helpers) -> None:
    for wrong in ("", "x", "0", stage.interest(EVENTS, "the-village")):
        answer = stage.visitor.join(SLUG, ADA, interests=[stage.interest(CHARTER), wrong])
        assert answer.status_code == 422
    assert stage.rows("requests") == 0


def test_what_was_ticked_is_sealed_until_the_worker_reads_it(stage: Helpers) -> None:
    chosen = stage.interest(CHARTER)
    stage.visitor.join(SLUG, ADA, interests=[chosen])
    [row] = dump_of(stage.services)["requests"]
    assert chosen not in repr(row)
    assert stage.rows("subscriptions") == 0


def test_who_is_in_already_changes_nothing_by_the_form_and_reads_the_same(stage: Helpers) -> None:
    stage.joined(ADA, CHARTER)
    answers = {
        (sent.status_code, sent.location.split("/")[1])
        for sent in (
            stage.visitor.join(SLUG, address, interests=[stage.interest(EVENTS)])
            for address in (ADA, BEN)
        )
    }
    assert len(answers) == 1
    assert stage.ticked(ADA) == {CHARTER}


def test_who_is_introduced_tells_the_leads_what_they_would_help_with(stage: Helpers) -> None:
    lead = "lead@dpsk12.org"
    stage.invite_lead(lead, SLUG)
    stage.joined(ADA, CHARTER, EVENTS, introduce_me="y")
    [mail] = stage.mails(lead)
    assert f"{CHARTER}, {EVENTS}" in " ".join(text_of(mail).split())
    stage.joined(BEN, CHARTER)
    assert len(stage.mails(lead)) == 1


def test_a_second_sign_up_adds_to_the_first_and_pressing_again_brings_nothing_back(
    stage: Helpers,
) -> None:
    first = stage.confirm_link(ADA, SLUG)
    with time_machine.travel(now() + timedelta(hours=3), tick=True):
        second = stage.confirm_link(ADA, SLUG, interests=[stage.interest(CHARTER)])
        stage.visitor.press(first)
        assert stage.ticked(ADA) == set()
        stage.visitor.press(second)
        assert stage.ticked(ADA) == {CHARTER}
        stage.change(stage.link(), ADA)
        assert stage.ticked(ADA) == set()
        stage.visitor.press(second)
        assert stage.ticked(ADA) == set()


def test_a_choice_that_is_retired_before_the_button_is_not_kept(stage: Helpers) -> None:
    chosen = [stage.interest(CHARTER), stage.interest(EVENTS)]
    link = stage.confirm_link(ADA, SLUG, interests=chosen)
    stage.retire(CHARTER)
    stage.visitor.press(link)
    assert stage.ticked(ADA) == {EVENTS}


def test_my_groups_shows_the_choices_and_changes_them_at_once(stage: Helpers) -> None:
    stage.made(ADA, CHARTER)
    sheet = stage.link()
    assert stage.shown(sheet, ADA) == {CHARTER}
    assert stage.change(sheet, ADA, EVENTS) == 303
    assert stage.shown(sheet, ADA) == {EVENTS}
    member = stage.subscription(ADA, SLUG)
    assert member is not None
    page = stage.visitor.open(f"{sheet}?done=interests&of={member.public_id}").text
    assert "Saved: what you’d like to help with." in page
    assert stage.ticked(ADA) == {EVENTS}
    assert stage.change(sheet, ADA) == 303
    assert stage.shown(sheet, ADA) == set()
    assert stage.ticked(ADA) == set()
    assert stage.shown(stage.link(), ADA) == set()


def test_choices_in_one_group_leave_the_others_alone(stage: Helpers) -> None:
    stage.made(ADA, CHARTER)
    stage.made(ADA, EVENTS, slug="the-village")
    sheet = stage.link()
    assert stage.change(sheet, ADA) == 303
    assert stage.ticked(ADA) == set()
    assert stage.ticked(ADA, "the-village") == {EVENTS}
    assert stage.shown(sheet, ADA, "the-village") == {EVENTS}


def test_a_group_without_interests_asks_nothing(stage: Helpers) -> None:
    stage.made(ADA, slug="asian")
    assert ":interests" not in stage.visitor.open(stage.link()).text


def test_another_language_keeps_what_is_ticked_and_not_saved(stage: Helpers) -> None:
    public_id = stage.made(ADA, CHARTER)
    sheet, name = stage.link(), f"{public_id}:interests"
    typed = {name: [stage.interest(EVENTS)], "switch_language": "es"}
    page = stage.visitor.press(f"{sheet}/pause?lang=es", **typed)
    assert page.status_code == 200
    assert Form(page.text).fields[name] == stage.interest(EVENTS)
    assert stage.ticked(ADA) == {CHARTER}


def test_somebody_elses_choices_are_not_changed_by_ones_own_link(stage: Helpers) -> None:
    theirs = stage.made(BEN, CHARTER)
    stage.made(ADA)
    sheet = stage.link()
    before = stage.rows("requests")
    answer = stage.visitor.press(f"{sheet}/interests", membership=theirs)
    assert answer.status_code == 404
    assert stage.rows("requests") == before
    assert stage.ticked(BEN) == {CHARTER}


def test_the_worker_takes_choices_for_no_membership_that_is_not_on_the_list(
    stage: Helpers,
) -> None:
    """Whoever broke into the web seals a request with a list of their own, for another's row."""
    theirs, own = stage.made(BEN, CHARTER), stage.made(ADA)
    sheet = stage.link()
    stage.change(sheet, ADA, EVENTS)
    with stage.services.writing.begin() as session:
        [job] = session.scalars(select(Job))
        said = json.loads(stage.keyring.opener.open(job.sealed or b"", sealed_for(job.kind)))
        assert said["membership"] == own
        forged = json.dumps({**said, "membership": theirs}).encode()
        job.sealed = stage.services.sealer.seal(forged, sealed_for(job.kind))
    assert stage.ticked(BEN) == {CHARTER}
    assert stage.ticked(ADA) == set()


def test_who_has_left_offers_nothing_any_more(stage: Helpers) -> None:
    public_id = stage.made(ADA, CHARTER)
    sheet = stage.link()
    stage.visitor.press(f"{sheet}/leave", membership=public_id)
    assert stage.visitor.press(f"{sheet}/interests", membership=public_id).status_code == 404
    stage.visitor.press(f"{sheet}/undo", membership=public_id)
    assert stage.ticked(ADA) == {CHARTER}
    stage.visitor.press(f"{sheet}/leave", membership=public_id)
    stage.enter(ADA, SLUG)
    assert stage.ticked(ADA) == set()


def test_a_copy_says_what_was_ticked(stage: Helpers) -> None:
    stage.made(ADA, CHARTER, EVENTS)
    stage.visitor.press(f"{stage.link()}/copy")
    words = " ".join(text_of(stage.mails(ADA)[-1]).split())
    assert f"Would like to help with: {CHARTER}, {EVENTS}" in words


def test_what_was_ticked_goes_with_the_membership(stage: Helpers) -> None:
    stage.made(ADA, CHARTER)
    left = stage.made(BEN, CHARTER)
    stage.visitor.press(f"{stage.link(BEN)}/leave", membership=left)
    stage.visitor.press(f"{stage.link()}/erase")
    stage.worker.drain()
    with time_machine.travel(now() + timedelta(days=3), tick=True):
        stage.worker.drain()
        assert stage.subscription(ADA, SLUG) is None
        assert stage.rows("subscriptions") == 1
    with time_machine.travel(now() + timedelta(days=31)), stage.services.writing.begin() as session:
        purge.purge_all(session)
    assert stage.rows("subscriptions") == 0


def test_a_new_address_takes_the_choices_along_and_two_memberships_bring_theirs_together(
    stage: Helpers,
) -> None:
    stage.made(ADA, CHARTER)
    stage.made(ADA, EVENTS, slug="the-village")
    stage.made(BEN, EVENTS)
    stage.visitor.send(f"{stage.link()}/change-address", email=BEN)
    stage.visitor.press(link_to(stage.mails(BEN)[-1], "change-address"))
    assert stage.ticked(BEN) == {CHARTER, EVENTS}
    assert stage.ticked(BEN, "the-village") == {EVENTS}
    assert stage.rows("subscriptions") == 2


@pytest.mark.parametrize("is_late", [False, True])
def test_a_request_of_a_link_whose_time_is_long_over_changes_nothing(
    stage: Helpers, *, is_late: bool
) -> None:
    stage.made(ADA, CHARTER)
    assert stage.change(stage.link(), ADA, EVENTS) == 303
    late = self_service_tasks.PERMIT_MAX_AGE if is_late else timedelta(0)
    with time_machine.travel(now() + late, tick=True):
        assert stage.ticked(ADA) == ({CHARTER} if is_late else {EVENTS})


def test_the_worker_gives_memberships_of_an_older_version_a_list(stage: Helpers) -> None:
    stage.made(ADA)
    with stage.services.writing.begin() as session:
        session.scalars(select(Subscription)).one().wrapped_ticks = None
    assert stage.ticked(ADA) == set()
    stage.minute()
    with stage.services.reading.begin() as session:
        assert session.scalars(select(Subscription)).one().wrapped_ticks is not None


def test_a_sign_up_of_an_older_version_is_read(stage: Helpers) -> None:
    with stage.services.writing.begin() as session:
        group = group_named(session, SLUG)
        said = {"address": ADA, "language": "en", "group": group.public_id}
        sealed = stage.services.sealer.seal(json.dumps(said).encode(), sealed_for("join"))
        session.add(Job(kind="join", group_id=group.id, sealed=sealed))
    link = link_to(stage.mails(ADA)[-1], "confirm")
    with stage.services.writing.begin() as session:
        session.scalars(select(PendingConfirmation)).one().wrapped_ticks = None
    stage.visitor.press(link)
    assert stage.ticked(ADA) == set()
