"""An invited person accepts from that mailbox first; a mistyped address gets nothing else."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts import proven
from belong_mail.accounts.models import RIGHT_AGE, Account, Right
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.decryption import Opener
from belong_mail.core.encryption import new_keys
from tests.accounts.passkeys import add
from tests.browser_client import Visitor, link_to
from tests.clients import signed_in
from tests.db_dump import dump_of, trail
from tests.district_names import NAMED
from tests.factories import group_named, queue_issue
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE
from tests.servers.authenticator import Authenticator

LEAD = "new.lead@dpsk12.org"
INTRODUCED: dict[str, Any] = {"first_name": "Ada", "introduce_me": "y"}


def invite(cli: Any, address: str = LEAD, slug: str = VILLAGE, *options: str) -> None:
    result = cli.invoke(args=["lead", "invite", address, "--group", slug, *options])
    assert result.exit_code == 0, result.output


def listed(cli: Any) -> str:
    lines: list[str] = cli.invoke(args=["lead", "list"]).output.splitlines()
    [line] = [each for each in lines if each.startswith(f"{VILLAGE}\t")]
    return line.partition("\t")[2]


@on_both("journeys")
def test_an_invited_lead_accepts_and_signs_in(scenario, cli, app):
    invite(cli)
    assert listed(cli) == "0\t1 invited"
    [mail] = scenario.mails(LEAD)
    link = link_to(mail, "invitation")
    lead = Visitor(app.test_client())
    assert "The Village" in lead.open(link).text
    scenario.invite_lead("olive@dpsk12.org", "asian")
    olive = signed_in(app, scenario.keyring, "olive@dpsk12.org")
    shown = [each.open(link).text for each in (lead, olive)]
    assert ["this invitation went to another address" in each for each in shown] == [False, True]
    assert listed(cli) == "0\t1 invited", "opening the page accepts nothing"
    for wrong, words in (("", "Enter a name."), (LEAD, "Enter a name, not an email address.")):
        refused = lead.send(link, name=wrong)
        assert (refused.status_code, words in refused.text) == (422, True)
    assert listed(cli) == "0\t1 invited", "without a name nothing is accepted"
    lead.open("/lead/groups/asian/meetings")  # somebody else's page that was asked for before
    answer = lead.send(link, name="Ada, North")
    assert answer.location == "/lead/?done=accepted&lang=en"
    assert "You’ve accepted, and you’re signed in." in lead.open(answer.location).text
    assert listed(cli) == "1"
    other = Visitor(app.test_client())
    assert other.press(link).location.startswith("/sign-in?"), "a second press signs nobody in"
    assert other.open("/lead/").status_code == 302
    assert "<title>You’ve already accepted" in other.open(link).text
    assert scenario.account(LEAD).name == "Ada, North"
    lead.send("/sign-in", email=LEAD)
    lead.press(link_to(scenario.mails(LEAD)[-1], "sign-in"))
    assert "The Village" in lead.open("/lead/").text


def test_a_session_that_an_invitation_began_is_unproved(scenario, cli, app):
    """The link opens in any browser for days: what much depends on asks for a proof first."""
    invite(cli, LEAD, VILLAGE, "--name", "Ada, North")
    lead = Visitor(app.test_client())
    assert (
        "What should we call you?"
        not in lead.open(link_to(scenario.mails(LEAD)[-1], "invitation")).text
    )
    lead.press(link_to(scenario.mails(LEAD)[-1], "invitation"))
    asked = lead.act("/account/passkeys/remove", passkey="x")
    assert asked.status_code == 403
    assert "Open the link in our email" in asked.text
    assert lead.press(link_to(scenario.mails(LEAD)[-1], "sign-in")).status_code == 303
    assert lead.act("/account/passkeys/remove", passkey="x").status_code == 404
    invite(cli, LEAD, "asian")
    assert scenario.account(LEAD).name == "Ada, North", "without one it stays"
    accepted = lead.press(link_to(scenario.mails(LEAD)[-1], "invitation"))
    assert "done=accepted" in accepted.location
    assert "/account/proof" not in accepted.location, "nobody asked to sign in again"


def test_an_invitation_does_not_sign_in_an_account_with_a_passkey(scenario, cli, app):
    scenario.invite_lead(LEAD, "asian")
    owner = signed_in(app, scenario.keyring, LEAD)
    assert add(owner, Authenticator()).status_code == 303
    invite(cli)
    other = Visitor(app.test_client())
    [mail] = [mail for mail in scenario.mails(LEAD) if "invitation" in mail["Subject"]]
    accepted = other.send(link_to(mail, "invitation"), name="Ada, North")
    assert accepted.location.startswith("/sign-in?done=accepted")
    assert other.open("/lead/").status_code == 302
    assert listed(cli) == "1"


def test_a_leader_without_a_name_is_asked_for_it_once_at_sign_in(scenario, app):
    scenario.invite_lead(LEAD)
    lead = Visitor(app.test_client())
    lead.send("/sign-in", email=LEAD)
    link = link_to(scenario.mails(LEAD)[-1], "sign-in")
    assert lead.send(link, name=" ").status_code == 422
    assert lead.send(link, name="Ada, North").status_code == 303
    ada = scenario.account(LEAD)
    assert ada.name == "Ada, North"
    assert trail(scenario.services, Kind.PERSON_RENAMED)[-1].actor == ada.public_id
    lead.send("/sign-in", email=LEAD)
    again = link_to(scenario.mails(LEAD)[-1], "sign-in")
    assert "What should we call you?" not in lead.open(again).text


def test_a_name_that_is_an_address_is_no_name(scenario, cli):
    for command in (["lead", "invite", LEAD, "--group", VILLAGE], ["office", "invite", LEAD]):
        refused = cli.invoke(args=[*command, "--name", LEAD])
        assert refused.exit_code == 2
        assert "no address" in refused.output
        assert scenario.account(LEAD) is None
    assert cli.invoke(args=["office", "invite", LEAD, "--name", "Ada, North"]).exit_code == 0
    assert scenario.account(LEAD).name == "Ada, North"
    assert cli.invoke(args=["office", "remove", LEAD]).exit_code == 0
    assert scenario.right(LEAD) is None
    assert trail(scenario.services)[-1].kind == Kind.OFFICE_REMOVED


def test_an_address_need_not_be_an_argument_which_the_machine_would_log(scenario, cli):
    """The log of `sudo` has arguments; standard input stands nowhere."""
    group = ["--group", VILLAGE]
    result = cli.invoke(args=["lead", "invite", *group], input=f"{LEAD}\n")
    assert result.exit_code == 0, result.output
    assert LEAD not in result.output
    assert listed(cli) == "0\t1 invited"
    assert scenario.mails(LEAD)
    assert cli.invoke(args=["lead", "remove", *group], input=f" {LEAD} \n").exit_code == 0
    assert listed(cli) == "0"
    for command in (["lead", "invite", *group], ["office", "invite"], ["lead", "unlink"]):
        nobody = cli.invoke(args=command, input="\n")
        assert nobody.exit_code == 2
        assert "ADDRESS is missing." in nobody.output


def test_an_acceptance_that_only_the_web_wrote_counts_for_nothing(scenario, cli):
    """An intruder in the web can write a row for a lead of another group."""
    scenario.invite_lead(LEAD, "asian")
    with scenario.services.writing.begin() as session:
        [account] = session.scalars(select(Account))
        group = group_named(session, VILLAGE)
        session.add(Right(account_id=account.id, group_id=group.id, accepted_at=now()))
    invite(cli)
    assert listed(cli) == "0\t1 invited"


@pytest.mark.parametrize("leads_another", [False, True])
def test_an_invited_person_who_has_not_accepted_is_emailed_only_the_invitation(
    app, scenario, cli, leads_another
):
    """A mistyped address, which may be another lead's, was mailed what members wrote."""
    if leads_another:
        scenario.invite_lead(LEAD, "asian")
    invite(cli)
    [invitation] = scenario.mails(LEAD)
    assert "introduce_me" not in scenario.visitor.open(f"/groups/{VILLAGE}/join").text
    scenario.invite_lead("true.lead@dpsk12.org")
    scenario.enter(ADA, **INTRODUCED)
    assert scenario.mails("true.lead@dpsk12.org")[-1]["Subject"] == "A new member says hello"
    if leads_another:
        lead = signed_in(app, scenario.keyring, LEAD)
        assert lead.open(f"/lead/groups/{VILLAGE}/page").status_code == 404
    else:
        scenario.visitor.send("/sign-in", email=LEAD)
    with scenario.services.writing.begin() as session:
        queue_issue(session).held_at = now()
    assert scenario.subjects(LEAD) == ["An invitation for you"]
    assert str(invitation["To"]) == LEAD


def test_an_invitation_ends_after_a_week_and_can_be_sent_again_in_another_language(scenario, cli):
    invite(cli)
    link = link_to(scenario.mails(LEAD)[-1], "invitation")
    with time_machine.travel(now() + timedelta(days=7, minutes=5)):
        for answer in (scenario.visitor.open(link), scenario.visitor.press(link)):
            assert answer.status_code == 404
            assert "invite you again" in answer.text
        assert listed(cli) == "0\t1 invited"
        invite(cli, LEAD, VILLAGE, "--language", "es")
        mail = scenario.mails(LEAD)[-1]
        assert mail["Subject"] == "Una invitación para ti"
        assert scenario.visitor.press(link_to(mail, "invitation")).status_code == 303
        assert listed(cli) == "1"


def test_neither_a_leader_of_the_group_nor_a_suppressed_address_is_invited(scenario, cli):
    scenario.invite_lead(LEAD)
    result = cli.invoke(args=["lead", "invite", LEAD.upper(), "--group", VILLAGE])
    assert "already leads The Village Belong Group" in result.output
    scenario.suppress(ADA)
    invite(cli, ADA, "asian")
    assert scenario.mails(LEAD) == scenario.mails(ADA) == []
    assert listed(cli) == "1"


def test_an_invitation_that_was_taken_back_gives_nothing(scenario, cli):
    invite(cli)
    link = link_to(scenario.mails(LEAD)[-1], "invitation")
    invite(cli, LEAD, "asian")
    for slug in (VILLAGE, "asian"):
        cli.invoke(args=["lead", "remove", LEAD, "--group", slug])
    assert len(scenario.mails(LEAD)) == 2, "what was asked for leaves, and accepts nothing"
    for each in (link, link_to(scenario.mails(LEAD)[-1], "invitation")):
        assert scenario.visitor.open(each).status_code == 404
        assert scenario.visitor.press(each).status_code == 404


def end_invitations(scenario, *, minutes: int = 5) -> None:
    """Let the worker do what it does each minute, but send nothing, once an invitation is over."""
    with time_machine.travel(now() + timedelta(days=8, minutes=minutes)):
        scenario.worker._periodic_tasks.run()


def test_an_invited_person_who_never_accepts_is_forgotten(scenario, cli):
    """Also where the web says that somebody did: the worker has read no acceptance."""
    scenario.invite_lead("true.lead@dpsk12.org")
    invite(cli)
    invite(cli, "true.lead@dpsk12.org", "asian")
    scenario.worker.drain()
    end_invitations(scenario, minutes=-5)
    assert listed(cli) == "1\t1 invited"
    lead = Right.account_id == scenario.account(LEAD).id
    scenario.execute(update(Right).where(lead).values(accepted_at=now(), ends_at=now() + RIGHT_AGE))
    end_invitations(scenario)
    with scenario.services.reading.begin() as session:
        assert len(session.scalars(select(Right)).all()) == 1
        assert len(session.scalars(select(Account)).all()) == 1
    assert listed(cli) == "1"


def test_a_right_whose_key_is_missing_is_not_forgotten(scenario):
    """As at a worker that a rotation has not reached: it cannot tell whether it was accepted."""
    scenario.invite_lead(LEAD)
    with scenario.services.writing.begin() as session:
        lost = Opener((new_keys()["private"],))
        proven.prove(lost, session.scalars(select(Right)).one(), now())
    end_invitations(scenario)
    assert scenario.rows("rights") == 1


def test_an_acceptance_that_waits_behind_other_requests_is_not_forgotten(scenario, cli):
    invite(cli)
    link = link_to(scenario.mails(LEAD)[-1], "invitation")
    with time_machine.travel(now() + timedelta(days=6)):
        assert scenario.visitor.send(link, name="Ada").status_code == 303
    end_invitations(scenario)
    scenario.worker.drain()
    assert listed(cli) == "1"


def test_an_invitation_that_still_waits_is_not_forgotten(scenario, cli):
    invite(cli)
    end_invitations(scenario)
    with time_machine.travel(now() + timedelta(days=6)):
        link = link_to(scenario.mails(LEAD)[-1], "invitation")
        with time_machine.travel(now() + timedelta(days=5)):
            scenario.worker.drain()
            assert scenario.visitor.press(link).status_code == 303


@pytest.mark.parametrize("settings", [NAMED])
def test_in_production_only_staff_are_invited(cli, scenario):
    own = f"lead@{scenario.services.settings.mail_domain}"
    result = cli.invoke(args=["lead", "invite", own, "--group", VILLAGE])
    assert result.exit_code == 2
    assert "not a work address" in result.output
    assert dump_of(scenario.services)["accounts"] == []
