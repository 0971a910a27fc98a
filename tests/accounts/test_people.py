"""The office invites and removes leads and colleagues, and sees no address."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from sqlalchemy import update

from belong_mail.accounts import people, proven
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import AcceptRights, EndRight, InviteAgain, InviteColleague
from belong_mail.accounts.models import OFFICE as PLACE
from belong_mail.accounts.models import RIGHT_AGE, Account, Right
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.rate_limits import INVITATIONS_RATE, forget, record_use
from belong_mail.core.tokens import BadToken, Purpose
from belong_mail.leads import mailbox
from tests.browser_client import Form, Visitor, html_of, link_to, text_of
from tests.clients import signed_in
from tests.db_dump import trail
from tests.factories import change_group, group_named
from tests.markers import on_both, on_sqlite
from tests.overlapping import do_twice_at_once
from tests.scenario import ADA, VILLAGE, drain_in

OFFICE, COLLEAGUE = "office@dpsk12.org", "colleague@dpsk12.org"
INBOX = "dps-belong@example.org"
LEAD, NEW, OTHER = "lead@dpsk12.org", "new.lead@dpsk12.org", "other.lead@dpsk12.org"
INVITED, SENT, ENDED = "An invitation for you", "An invitation was sent", "A role has ended"
TOLD = [SENT, "An invitation was accepted", ENDED]
HELLO = "A new member says hello"
PAGE, GROUPS = "/office/leads", "/office/groups"
VILLAGE_PAGE = f"{GROUPS}/{VILLAGE}"


@pytest.fixture
def scenario(scenario):
    scenario.invite_office(OFFICE)
    return scenario


@pytest.fixture
def office(app, scenario) -> Visitor:
    return signed_in(app, scenario.keyring, OFFICE)


def group_id(scenario, slug: str) -> str:
    return scenario.group(slug).public_id


def invite(browser, scenario, address: str = NEW, *places: str) -> None:
    groups = [each if each == PLACE else group_id(scenario, each) for each in places]
    typed = {"name": "Sam, East", "email": address, "groups": groups, "language": "en"}
    answer = browser.send(f"{PAGE}/invite", **typed)
    assert answer.status_code == 303, answer.text
    scenario.worker.drain()


def accept(scenario, office):
    """Have the office invite a lead, who accepts; return the invitation."""
    invite(office, scenario, NEW, VILLAGE)
    mail = scenario.mails(NEW)[-1]
    scenario.visitor.press(link_to(mail, "invitation"))
    scenario.worker.drain()
    return mail


def seal(scenario, asked) -> None:
    scenario.seal(asked)
    scenario.worker.drain()


def seal_invitation(scenario, address: str, groups: list[str], name: str = "Sam") -> None:
    by = scenario.account(OFFICE).public_id
    seal(scenario, InviteColleague(by, name, address, "es", groups))


def press(office, scenario, address: str, verb: str, role: str = ""):
    """Press a button of somebody's page; the worker then does what follows from it."""
    person = f"{PAGE}/{scenario.account(address).public_id}"
    answer = office.act(f"{person}/{verb}", role=role)
    scenario.worker.drain()
    return answer


def introduced_from(scenario):
    with scenario.services.reading.begin() as session:
        group, account = group_named(session, VILLAGE), scenario.account(NEW)
        return proven.introduced_from(session, scenario.keyring.opener, account, group)


def test_one_invitation_for_two_groups_is_accepted_for_one_of_them_or_with_one_press(
    app, scenario, office
):
    invite(office, scenario, NEW, VILLAGE, "asian")
    for slug in (VILLAGE, "asian"):
        page = office.open(f"{GROUPS}/{slug}").text
        assert "Sam, East" in page
        assert "accepted yet" in page
        assert "@dpsk12.org" not in page
    [mail] = scenario.mails(NEW)
    for words in (text_of(mail), html_of(mail)):
        assert "The Village Belong Group" in words
        assert "The Asian Belong Group" in words
    link = link_to(mail, "invitation")
    page = scenario.visitor.open(link).text
    other = Form(page, "Yes, I want to lead The Village Belong Group")
    assert other.fields["accept"] == group_id(scenario, VILLAGE)
    scenario.visitor.choose(page, "Yes, I want to lead the Asian Belong Group")
    with scenario.services.reading.begin() as session:
        assert accounts.leads_of(session, group_named(session, "asian"))
        assert not accounts.leads_of(session, group_named(session, VILLAGE))
    assert scenario.visitor.press(link).status_code == 303
    assert "already accepted" in scenario.visitor.open(link).text
    lead = signed_in(app, scenario.keyring, NEW)
    assert "/lead/" in lead.open(link).location
    assert "The Village" in lead.open("/lead/").text
    assert "Asian" in lead.open("/lead/").text
    assert "accepted yet" not in office.open(VILLAGE_PAGE).text
    office.send(f"{PAGE}/{scenario.account(NEW).public_id}", name="Lee, North")
    assert "Lee, North" in office.open(GROUPS).text
    invite(office, scenario, NEW, "lgbtq")
    assert "Lee, North" in office.open(f"{GROUPS}/lgbtq").text, "an invitation changes no name"


def test_an_invitation_that_cannot_be_delivered_is_told_until_it_is_withdrawn(scenario, office):
    for address, *places in ((NEW, VILLAGE, "asian"), (OTHER, "lgbtq")):
        scenario.relay.always(f"RCPT {address}", "550 5.1.1 No such user")
        invite(office, scenario, address, *places)
    person = f"{PAGE}/{scenario.account(NEW).public_id}"
    today = office.open("/office").text
    assert today.count("The invitation to Sam, East couldn’t be delivered") == 2
    assert today.count("Leader of ") == 3, "each with their own"
    assert "Sign them out" not in office.open(person).text, "they never signed in"
    for page in (person, VILLAGE_PAGE):
        assert "The invitation couldn’t be delivered" in office.open(page).text
    scenario.relay.usual()
    press(office, scenario, NEW, "again")
    press(office, scenario, OTHER, "withdraw")
    assert "couldn’t be delivered" not in office.open("/office").text + office.open(person).text


@on_both("journeys")
def test_a_colleague_has_the_offices_pages_only_after_accepting(app, scenario, office):
    invite(office, scenario, COLLEAGUE, PLACE)
    Visitor(app.test_client()).send("/sign-in", email=COLLEAGUE)
    [mail] = scenario.mails(COLLEAGUE)
    assert mail["Subject"] == INVITED
    assert "work for the Belong office" in text_of(mail)
    asked = scenario.visitor.open(link_to(mail, "invitation")).text
    assert "Do you want to work for the Belong office?" in asked
    assert "Or only one part" not in asked
    scenario.visitor.press(link_to(mail, "invitation"))
    assert signed_in(app, scenario.keyring, COLLEAGUE).open(GROUPS).status_code == 200
    assert "Sam, East" in office.open("/office/settings").text
    assert "You don’t lead a group." in office.open("/lead/").text
    invite(office, scenario, COLLEAGUE, VILLAGE)
    assert "The Village" in text_of(scenario.mails(COLLEAGUE)[-1]), "as docs/office.md says"


@on_sqlite
def test_from_a_groups_page_the_invitation_is_for_that_group_alone(scenario, office):
    page = f"{PAGE}/invite?group=asian"
    asked = office.open(page).text
    assert "Invite someone to lead the Asian Belong Group" in asked
    assert "Which groups will they lead?" not in asked
    typed = {"name": "Sam, East", "email": NEW, "language": "en", "groups": [PLACE]}
    answer = office.forge(page, **typed)
    assert answer.location.startswith(f"{GROUPS}/asian?")
    shown = office.open(answer.location).text
    assert "an invitation to Sam, East, unless they have this role already" in shown
    scenario.worker.drain()
    assert "Asian" in text_of(scenario.mails(NEW)[-1])
    assert scenario.right(NEW) is None
    answer = office.send(f"{PAGE}/invite?group=office", **typed)
    assert answer.location == "/office/settings?done=invited"
    assert office.send(f"{PAGE}/invite?group=none", **typed).location == f"{GROUPS}?done=invited"


def test_an_invalid_invitation_is_explained_and_invites_nobody(scenario, office):
    right = {"name": "Sam", "email": NEW, "groups": [group_id(scenario, VILLAGE)]}
    for typed, words in (
        ({"email": "sam@gmail.com"}, "It ends in @dpsk12.org"),
        ({"name": "sam@dpsk12.org"}, "Enter a name, not an email address"),
        ({"groups": []}, "Choose at least one group"),
        ({"name": ""}, "Enter a name."),
    ):
        answer = office.send(f"{PAGE}/invite", **{**right, **typed})
        assert answer.status_code == 422
        assert words in answer.text
        assert scenario.account(NEW) is None


def test_a_leader_the_office_invited_gets_no_introduction_or_mailbox_for_a_day(scenario, office):
    """An intruder in the web could have invited, and those who are told need time to say so."""
    accept(scenario, office)
    accepted, shared = now(), "shared@dpsk12.org"

    def propose() -> list[str]:
        with scenario.services.writing.begin() as session:
            group = group_named(session, VILLAGE)
            lead = session.get_one(Account, scenario.account(NEW).id)
            mailbox.propose_mailbox(session, scenario.services.sealer, group, lead, shared, "en")
        return scenario.subjects(shared)

    scenario.enter(ADA, first_name="Ada", introduce_me="y")
    assert (scenario.subjects(NEW).count(HELLO), propose()) == (0, [])
    with time_machine.travel(accepted + timedelta(hours=23)):
        scenario.enter("bea@dpsk12.org", first_name="Bea", introduce_me="y")
        assert (scenario.subjects(NEW).count(HELLO), propose()) == (0, [])
    with time_machine.travel(accepted + timedelta(hours=25)):
        assert scenario.subjects(NEW).count(HELLO) == 2
        scenario.enter("cleo@dpsk12.org", first_name="Cleo", introduce_me="y")
        assert scenario.subjects(NEW).count(HELLO) == 3
        assert propose() == ["Confirm a shared inbox"]


def test_the_office_and_other_leads_hear_of_each_new_right(scenario, office):
    scenario.invite_office(COLLEAGUE)
    scenario.invite_lead(LEAD)
    scenario.invite_lead("asian@dpsk12.org", "asian")
    invite(office, scenario, NEW, VILLAGE, "lgbtq")
    by, new = (scenario.account(each).public_id for each in (OFFICE, NEW))
    assert {each.actor for each in trail(scenario.services) if each.account == new} == {by}
    assert scenario.subjects("asian@dpsk12.org") == []
    for told in (OFFICE, COLLEAGUE):
        mail = scenario.mails(told)[-1]
        assert mail["Subject"] == SENT
        assert "Sam, East was invited" in text_of(mail)
        assert "LGBTQ+" in text_of(mail)
        assert "lgbtq" not in "".join(str(value) for value in mail.values()).lower()
    [mail] = scenario.mails(LEAD)
    assert "The Village Belong Group" in text_of(mail)
    assert "LGBTQ+" not in text_of(mail), "a lead reads of their own groups alone"
    scenario.visitor.press(link_to(scenario.mails(NEW)[-1], "invitation"))
    assert "Sam, East accepted" in text_of(scenario.mails(LEAD)[-1])


def test_an_invitation_is_sent_again_and_withdrawn(scenario, office):
    """Also one whose row an intruder in the web gave an end to come."""
    invite(office, scenario, NEW, VILLAGE, PLACE)
    cell = office.open(GROUPS).text.partition(f'"{VILLAGE_PAGE}"')[2].partition("</td>")[0]
    assert ("Sam, East (invited)" in cell, "No one yet" in cell) == (True, False)
    is_open = Right.accepted_at.is_(None)
    scenario.execute(update(Right).where(is_open).values(ends_at=now() + RIGHT_AGE))
    for _ in range(5):
        press(office, scenario, NEW, "again")
    assert len(scenario.mails(NEW)) == 1 + 3, "three a day"
    again = trail(scenario.services, Kind.INVITED_AGAIN)
    assert {each.account for each in again} == {scenario.account(NEW).public_id}
    page = office.open(f"{PAGE}/{scenario.account(NEW).public_id}").text
    assert "works until" in page
    assert 'name="role"' not in page
    link = link_to(scenario.mails(NEW)[-1], "invitation")
    assert 'name="accept" value="office"' in scenario.visitor.open(link).text
    assert press(office, scenario, NEW, "withdraw").location == f"{VILLAGE_PAGE}?done=withdraw"
    assert "Sam, East" not in office.open(VILLAGE_PAGE).text
    assert scenario.visitor.press(link).status_code == 404
    late = press(office, scenario, NEW, "withdraw").location
    assert "Sam, East has no role and no invitation here anymore" in office.open(late).text
    assert len(trail(scenario.services, Kind.INVITATION_WITHDRAWN)) == 1
    invite(office, scenario, NEW, VILLAGE)
    invite(office, scenario, OTHER, VILLAGE, "asian")
    theirs = link_to(scenario.mails(OTHER)[-1], "invitation")
    scenario.visitor.press(theirs, accept=group_id(scenario, "asian"))
    press(office, scenario, OTHER, "withdraw")
    assert scenario.visitor.open(link_to(scenario.mails(NEW)[-1], "invitation")).status_code == 200
    with scenario.services.reading.begin() as session:
        assert accounts.leads_of(session, group_named(session, "asian")), "what was accepted stays"
    invite(office, scenario, OTHER, VILLAGE)
    removed = press(office, scenario, OTHER, "remove", "asian").location
    assert removed == f"{GROUPS}/asian?done=remove", "back to the team that they led"


@on_both("races")
def test_an_invitation_is_not_accepted_while_it_is_withdrawn(scenario, office):
    invite(office, scenario, NEW, VILLAGE)
    person, link = scenario.account(NEW), link_to(scenario.mails(NEW)[-1], "invitation")
    secret = scenario.services.tokens.read(
        Purpose.INVITATION, urlsplit(link).path.rsplit("/", 1)[-1]
    )
    is_second = iter((False, True))

    def act(session) -> None:
        if next(is_second):
            with pytest.raises(BadToken):
                accounts.accept(session, scenario.services.sealer, secret)
        else:
            people.withdraw(session, person)

    do_twice_at_once(scenario.services, act)


def test_removing_a_lead_counts_at_once_and_is_told(app, scenario, office):
    """Also for a link to sign in that was emailed before."""
    scenario.invite_lead(LEAD)
    scenario.invite_lead(NEW)
    lead, waiting = signed_in(app, scenario.keyring, LEAD), Visitor(app.test_client())
    waiting.send("/sign-in", email=LEAD)
    link = link_to(scenario.mails(LEAD)[-1], "sign-in")
    office.send(f"{PAGE}/{scenario.account(LEAD).public_id}", name="Lee, West")
    page = office.open(f"{PAGE}/{scenario.account(LEAD).public_id}").text
    assert re.findall(r'name="role" value="(.+?)"', page) == [VILLAGE]
    assert "This is you." not in page
    assert "This is you." in office.open(f"{PAGE}/{scenario.account(OFFICE).public_id}").text
    assert "Someone who hasn’t signed in yet" in office.open(GROUPS).text
    assert press(office, scenario, LEAD, "remove").status_code == 400, "no role is named"
    removed = press(office, scenario, LEAD, "remove", VILLAGE).location
    assert removed == f"{VILLAGE_PAGE}?done=remove"
    assert "You removed Lee, West." in office.open(removed).text
    assert "Lee, West" not in office.open(f"{GROUPS}/asian?done=remove").text
    for nobody in (scenario.account(LEAD).public_id, "nobody"):
        assert office.open(f"{PAGE}/{nobody}").status_code == 404
    assert lead.open("/lead/").status_code == 302, "the session is over"
    assert waiting.press(link).status_code == 404
    scenario.enter(ADA, first_name="Ada", introduce_me="y")
    assert HELLO not in scenario.subjects(LEAD)
    assert "ended your role" in text_of(scenario.mails(LEAD)[-1])
    assert "because it’s about your role" in text_of(scenario.mails(LEAD)[-1])
    told = map(text_of, scenario.mails(NEW))
    assert any("Lee, West no longer leads The Village" in each for each in told)
    assert scenario.subjects(OFFICE)[-1] == ENDED
    before = len(scenario.mails(LEAD))
    waiting.send("/sign-in", email=LEAD)
    assert len(scenario.mails(LEAD)) == before
    press(office, scenario, NEW, "remove", VILLAGE)
    assert "introduce_me" not in scenario.visitor.open(f"/groups/{VILLAGE}/join").text


def test_a_withdrawn_or_removed_right_stays_gone_when_a_clock_is_an_hour_behind(scenario, office):
    """Else the worker would put the acceptance back, and send the invitation again."""
    scenario.invite_lead(LEAD)
    invite(office, scenario, NEW, VILLAGE)
    by, lead, new = (scenario.account(each).public_id for each in (OFFICE, LEAD, NEW))
    office.act(f"{PAGE}/{new}/withdraw")
    office.act(f"{PAGE}/{lead}/remove", role=VILLAGE)
    with time_machine.travel(now() - timedelta(hours=1)):
        seal(scenario, InviteAgain(by, new))
        assert scenario.right(LEAD, VILLAGE) is None
        assert len(scenario.mails(NEW)) == 1


def test_the_last_office_account_is_not_removed(app, scenario, office):
    answer = press(office, scenario, OFFICE, "remove", "office")
    assert "done=last" in answer.location
    assert "Invite a colleague first" in office.open(answer.location).text
    assert scenario.right(OFFICE).counts
    scenario.invite_office(COLLEAGUE)
    colleague = signed_in(app, scenario.keyring, COLLEAGUE)
    scenario.do(change_group, "asian", public_id=PLACE)  # as the web may call one
    assert "done=last" not in press(colleague, scenario, OFFICE, "remove", "office").location
    assert office.open(GROUPS).status_code == 302
    assert scenario.right(OFFICE) is None, "the worker forgets the proof too"
    [removed] = trail(scenario.services, Kind.OFFICE_REMOVED)
    assert removed.actor == scenario.account(COLLEAGUE).public_id
    assert "done=last" in press(colleague, scenario, COLLEAGUE, "remove", "office").location


def test_a_group_with_fewer_than_two_leads_is_pointed_out(scenario, office):
    def lines() -> int:
        row = office.open(GROUPS).text.partition(f'"{VILLAGE_PAGE}"')[2]
        return row.partition("</td>")[0].count("<br>")

    def is_alone() -> bool:
        today, listed, group = (office.open(url).text for url in ("/office", GROUPS, VILLAGE_PAGE))
        said = {f'href="{VILLAGE_PAGE}"' in today, "Fewer than two" in listed}
        said.add("fewer than two people" in group)
        assert len(said) == 1
        return said == {True}

    scenario.invite_lead(LEAD)
    invite(office, scenario, OTHER, VILLAGE)
    assert is_alone(), "who hasn’t accepted yet does not count"
    scenario.invite_lead(NEW)
    assert not is_alone()
    assert lines() == 2, "each leader has one of their own"
    of_one = update(Right).where(Right.account_id == scenario.account(NEW).id)
    scenario.execute(of_one.values(ends_at=now()))
    assert is_alone()
    assert lines() == 2, "one of two leaders, and that there are too few"
    press(office, scenario, NEW, "remove", VILLAGE)
    assert is_alone()


def test_a_leader_stops_leading_and_everyone_concerned_is_told(app, scenario, office):
    scenario.invite_lead(LEAD)
    scenario.invite_lead(NEW)
    scenario.invite_lead(LEAD, "asian")
    lead = signed_in(app, scenario.keyring, LEAD)
    home = lead.open("/lead/").text
    assert home.count("Stop leading …") == 2
    assert "You’re its only leader" in home.partition('id="asian"')[2].partition("<h2")[0]
    assert home.count("You’re its only leader") == 1
    stop = f"/lead/groups/{VILLAGE}/stop-leading"
    answer = lead.choose(home.partition(f'id="{VILLAGE}"')[2], "Stop leading this group")
    assert "You don’t lead that group anymore." in lead.open(answer.location).text
    assert lead.act(stop).status_code == 404
    assert trail(scenario.services)[-1].kind == Kind.LEAD_STOPPED
    assert "Asian" in lead.open("/lead/").text, "they stay signed in, and lead the other one"
    for address in (LEAD, NEW, OFFICE):
        assert scenario.mails(address), address
    assert "Ended" not in office.open(VILLAGE_PAGE).text
    with scenario.services.reading.begin() as session:
        assert len(accounts.leads_of(session, group_named(session, VILLAGE))) == 1
    lead.act("/lead/groups/asian/stop-leading")
    assert '<a href="/lead/" aria-current="page">' in lead.open("/lead/").text


@pytest.fixture
def stopped(app, scenario, office) -> str:
    """Let a leader accept and stop leading; return the link that had invited them."""
    link = link_to(accept(scenario, office), "invitation")
    signed_in(app, scenario.keyring, NEW).act(f"/lead/groups/{VILLAGE}/stop-leading")
    scenario.worker.drain()
    return link


def test_the_office_undoes_that_a_leader_has_stopped(scenario, office, stopped, cli):
    person = f"{PAGE}/{scenario.account(NEW).public_id}"
    listed = office.open(VILLAGE_PAGE).text
    assert "Stopped leading on" in listed
    assert "(invited)" not in office.open(GROUPS).text
    assert person in listed
    assert f"{VILLAGE}\t0\n" in cli.invoke(args=["lead", "list"]).output, "nor invited"
    assert scenario.visitor.open(stopped).status_code == 404, "the old link accepts nothing"
    before = {each: len(scenario.mails(each)) for each in (NEW, OFFICE)}
    key, at = b"rights/invitations", now()
    scenario.do(record_use, key, INVITATIONS_RATE, at, INVITATIONS_RATE.burst)
    press(office, scenario, NEW, "restore", VILLAGE)
    assert "Stopped" in office.open(person).text, "as many as may be invited were today"
    shown = office.open(f"{person}?done=restore&role={VILLAGE}").text
    assert "Being restored" in shown
    assert "/restore" not in shown
    scenario.do(forget, key)
    press(office, scenario, NEW, "restore", VILLAGE)
    assert "Stopped" not in office.open(person).text
    begins = introduced_from(scenario)
    assert begins > now() + timedelta(hours=23), "a day passes, as after any acceptance"
    told = {each: scenario.mails(each)[number:] for each, number in before.items()}
    assert [text_of(mail).count("gave it") for each in told.values() for mail in each] == [1, 1]
    assert office.act(f"{person}/restore", role=VILLAGE).status_code == 404


def test_a_leaders_stop_can_be_undone_and_is_told_once_if_the_minute_comes_before_its_job(
    app, scenario, office
):
    accept(scenario, office)
    signed_in(app, scenario.keyring, NEW).act(f"/lead/groups/{VILLAGE}/stop-leading")
    scenario.worker._periodic_tasks.run()
    scenario.worker.drain()
    assert [each for each in scenario.subjects(OFFICE) if each in TOLD] == TOLD
    press(office, scenario, NEW, "restore", VILLAGE)
    assert introduced_from(scenario) > now()


def test_a_leader_who_stopped_is_not_invited_by_an_invitation_to_something_else(
    scenario, office, stopped
):
    invite(office, scenario, NEW, "asian")
    press(office, scenario, NEW, "again")
    assert all("The Village" not in text_of(mail) for mail in scenario.mails(NEW)[-2:])
    press(office, scenario, NEW, "withdraw")
    assert "Withdraw" not in office.open(f"{PAGE}/{scenario.account(NEW).public_id}").text
    assert "Stopped leading on" in office.open(VILLAGE_PAGE).text


@pytest.mark.usefixtures("stopped")
def test_a_week_later_nothing_of_a_leader_who_stopped_is_left_but_the_account(scenario):
    for minutes in (-5, 1):
        drain_in(scenario.worker, days=7, minutes=minutes)
        assert (scenario.right(NEW, VILLAGE) is None) is (minutes > 0)
    assert scenario.account(NEW).name, "it stands beside what they wrote"
    assert [each for each in scenario.subjects(OFFICE) if each in TOLD] == TOLD
    assert set(scenario.subjects(INBOX)) == {*TOLD}, "nothing is to be renewed"


def test_no_one_gives_up_what_was_never_accepted(scenario, office):
    """An intruder in the web can end an invitation, and ask for it in the invited one's name."""
    invite(office, scenario, NEW, VILLAGE)
    scenario.execute(update(Right).where(Right.accepted_at.is_(None)).values(ends_at=now()))
    person = scenario.account(NEW).public_id
    seal(scenario, EndRight(person, person, group_id(scenario, VILLAGE)))
    assert "Stopped leading on" not in office.open(VILLAGE_PAGE).text


def test_a_row_that_says_office_invites_no_one(scenario, office):
    """An intruder in the web can write it, and has no proof."""
    invite(office, scenario, NEW, VILLAGE)
    scenario.execute(update(Right).values(wrapped_proof=None))
    invite(office, scenario, OTHER, VILLAGE)
    press(office, scenario, NEW, "again")
    assert scenario.account(OTHER) is None
    assert len(scenario.mails(NEW)) == 1


def test_the_worker_invites_staff_alone_and_not_more_than_an_office_does(scenario):
    """Nobody hears of one to nothing, and a new row would tell who has an account already."""
    groups = [group_id(scenario, VILLAGE)]
    for address, given in (("eve@elsewhere.org", groups), (NEW, []), (NEW, ["nonsense"])):
        seal_invitation(scenario, address, given)
        assert scenario.account(address) is None
    for number in range(42):
        seal_invitation(scenario, f"staff{number}@dpsk12.org", groups)
    assert scenario.rows("rights") == 1 + 40, "the office’s own, and those"
    assert scenario.subjects(OFFICE).count(SENT) == 40, "each is loud"
    by, first = (scenario.account(each).public_id for each in (OFFICE, "staff0@dpsk12.org"))
    seal(scenario, InviteAgain(by, first))
    assert len(scenario.mails("staff0@dpsk12.org")) == 1, "One that is sent again counts as well."


def test_the_office_is_told_of_an_invitation_to_a_leader_of_the_same_group(scenario):
    """Nothing else comes of it, and a silence would say that a guess leads the group."""
    scenario.invite_lead(LEAD)
    seal_invitation(scenario, LEAD, [group_id(scenario, VILLAGE)])
    assert (scenario.subjects(LEAD), scenario.account(LEAD).language) == ([], "en")
    assert scenario.subjects(OFFICE) == scenario.subjects(INBOX) == [SENT]


def test_nobody_is_told_of_a_right_that_the_web_falsely_calls_ended(scenario):
    scenario.invite_office(COLLEAGUE)
    scenario.invite_lead(LEAD)
    by, colleague, lead = (scenario.account(each).public_id for each in (OFFICE, COLLEAGUE, LEAD))
    village = group_id(scenario, VILLAGE)
    for asks, person, right in (
        (by, lead, village), (lead, lead, village), (by, colleague, PLACE), (lead, lead, PLACE),
        (lead, lead, "none"),
    ):  # fmt: skip
        seal(scenario, EndRight(asks, person, right))
    assert scenario.relay.accepted == []


def test_a_name_carries_no_link_into_an_email(scenario):
    groups = [group_id(scenario, VILLAGE)]
    seal_invitation(scenario, NEW, groups, "Visit https://evil.example/x now")
    words = text_of(scenario.mails(OFFICE)[-1])
    assert "Visit https evil. example x now was invited" in " ".join(words.split())


def test_a_right_that_was_accepted_is_not_made_older_by_accepting_again(scenario, office):
    mail = accept(scenario, office)
    told = len(scenario.mails(OFFICE))
    public_id, secret = scenario.account(NEW).public_id, scenario.invitation_secret(mail)
    before = introduced_from(scenario)
    groups = [group_id(scenario, VILLAGE)]
    seal(scenario, AcceptRights(public_id, groups, secret))
    with time_machine.travel(now() + timedelta(hours=5)):
        assert len(scenario.mails(OFFICE)) == told
    assert before == introduced_from(scenario) is not None


def accepted(scenario) -> tuple[bool, bool]:
    """Return whether the person leads a group, and works for the office, once the worker ran."""
    scenario.worker.drain()
    return scenario.right(NEW, VILLAGE).counts, scenario.right(NEW).counts


def test_an_acceptance_of_an_older_invitation_leaves_the_newer_one_open(scenario, office):
    """The old link was pressed as the worker invited again: its acceptance proves nothing."""
    invite(office, scenario, NEW, VILLAGE, PLACE)
    mail = scenario.mails(NEW)[-1]
    assert "You’d work for the Belong office" in " ".join(text_of(mail).split())
    secret = scenario.invitation_secret(mail)
    rights = [group_id(scenario, VILLAGE), PLACE]
    accept = AcceptRights(scenario.account(NEW).public_id, rights, secret)
    press(office, scenario, NEW, "again")
    newer = scenario.mails(NEW)[-1]
    scenario.execute(update(Right).values(accepted_at=now(), ends_at=now() + RIGHT_AGE))
    scenario.seal(accept)
    assert accepted(scenario) == (False, False)
    scenario.visitor.press(link_to(newer, "invitation"))
    assert accepted(scenario) == (True, True)
