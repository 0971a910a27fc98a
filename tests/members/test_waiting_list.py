"""People wait for an upcoming group: no mail before it starts, then one, then none."""

from datetime import timedelta

import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.encryption import HEAD_OCTETS, WRAPPED
from belong_mail.groups import service as groups
from belong_mail.members import service as members
from belong_mail.members.jobs import Signup, WaitForGroup
from belong_mail.members.models import WaitlistEntry
from belong_mail.members.tasks import NOTES_AT_ONCE, index_notes, make_note, tell_launched
from belong_mail.ops import rooms
from belong_mail.worker.loop import STARTS_AT_ONCE
from tests.browser_client import html_of, link_to, text_of
from tests.clients import sign_in
from tests.factories import group_named, launch_an_hour_ago
from tests.markers import on_both, on_sqlite
from tests.scenario import ADA, SOON, TELL_ME, VILLAGE, drain_in

BEN = "ben@dpsk12.org"
DAY = timedelta(days=1)


def test_the_page_of_an_upcoming_group_leads_to_one_field_and_says_what_happens(scenario):
    page = scenario.visitor.open(f"/groups/{SOON}").text
    assert f'href="{TELL_ME}"' in page
    asked = scenario.visitor.open(TELL_ME).text
    with time_machine.travel(now(), tick=False):
        assert "This doesn’t make you a member" in asked
        assert f"{members.last_day():%Y}" in asked
    scenario.wait_for()
    assert f"{members.last_day():%Y}" in scenario.visitor.open("/noted").text


def test_when_it_starts_one_mail_asks_once_and_the_note_is_gone(scenario):
    scenario.wait_for()
    scenario.wait_for(BEN, language="es")
    assert scenario.mails() == []
    assert not scenario.is_member(slug=SOON)
    assert (scenario.rows("waitlist_entries"), scenario.rows("subscriptions")) == (2, 0)
    scenario.launch()
    [bens] = scenario.mails(BEN)
    assert bens["Subject"] == "Ya empezó el grupo que esperabas"
    assert "lang=es" in link_to(bens, "confirm")
    [mail] = scenario.mails()
    assert mail["Subject"] == "A group you asked about has started"
    assert "Autoimmune has started" not in str(mail["Subject"])
    assert "when the Autoimmune Belong Group starts." in text_of(mail)
    assert "<strong>the Autoimmune Belong Group</strong>" in html_of(mail)
    assert scenario.rows("waitlist_entries") == 0
    assert not scenario.is_member(slug=SOON), "only a fresh confirmation makes a member"
    assert [len(scenario.mails()) for _ in range(3)] == [1, 1, 1]
    for page in ("confirm", "not-me"):
        assert scenario.visitor.open(link_to(mail, page)).status_code == 200
    assert not scenario.is_member(slug=SOON)
    assert scenario.visitor.follow(link_to(mail, "confirm")).status_code == 200
    assert scenario.is_member(slug=SOON)
    assert scenario.subjects()[1:] == ["Welcome! You’re in."]
    for slug in (SOON, VILLAGE):
        old = scenario.visitor.open(f"/groups/{slug}/tell-me")
        assert old.location == f"/groups/{slug}/join"


def test_asking_again_and_again_leaves_one_note_and_brings_one_mail(scenario):
    """A stranger who types an address everywhere causes no more mail by it than by joining."""
    for spelling in (ADA, ADA.upper().replace("DPSK12.ORG", "dpsk12.org"), f" {ADA} "):
        scenario.wait_for(spelling)
    with scenario.services.writing.begin() as session:
        group, stranger = group_named(session, SOON), WaitForGroup("eve@example.org", "en")
        members.ask_to_join(session, scenario.services.sealer, group, stranger, now())
    scenario.worker.drain()
    assert scenario.rows("waitlist_entries") == 1, "nor does the worker write to a stranger"
    scenario.launch()
    assert len(scenario.relay.accepted) == 1
    for _ in range(5):
        scenario.visitor.join(SOON, ADA)
    scenario.worker.drain()
    assert len(scenario.relay.accepted) == 1


@on_both("claims")
def test_many_wait_a_turn_tells_few_and_each_gets_one_mail(scenario):
    people = [f"person{number}@dpsk12.org" for number in range(STARTS_AT_ONCE + 1)]
    for person in people:
        scenario.visitor.send(TELL_ME, email=person)
    scenario.worker.drain()
    scenario.do(launch_an_hour_ago, SOON)
    scenario.worker.step()
    assert scenario.rows("waitlist_entries") == 1
    scenario.worker.drain()
    assert sorted(mail.recipient for mail in scenario.relay.accepted) == sorted(people)


def test_a_waiting_person_who_joins_while_the_relay_is_down_gets_just_one_email(scenario):
    scenario.wait_for()
    scenario.relay.always("CONNECT", "421 4.3.2 down")
    scenario.launch()
    assert (len(scenario.relay.accepted), scenario.rows("waitlist_entries")) == (0, 0)
    assert scenario.rows("deliveries") == 1
    scenario.visitor.join(SOON, ADA)
    scenario.worker.drain()
    assert (scenario.rows("pending_confirmations"), scenario.rows("deliveries")) == (1, 1)
    scenario.relay.always("CONNECT", "220 up")
    with time_machine.travel(now() + timedelta(hours=1)):
        assert len(scenario.mails()) == 1


def test_a_waiting_person_who_has_joined_already_is_told_so(scenario):
    """A silence would tell whoever left the note, and sees the rows, of the membership."""
    scenario.wait_for()
    scenario.add_member(ADA, SOON)
    scenario.launch()
    assert scenario.subjects() == ["About your request"]
    assert scenario.rows("waitlist_entries") == 0


def test_a_suppressed_address_is_put_on_the_waitlist_like_any_but_gets_no_email(scenario):
    """By a missing note whoever sees the rows would learn whose membership wants no email."""
    scenario.wait_for()
    scenario.visitor.follow(link_to(scenario.ask(), "not-me"), choice="never")
    scenario.worker.drain()
    scenario.wait_for(slug="people-with-disabilities")
    assert scenario.rows("waitlist_entries") == 2
    for slug in (SOON, "people-with-disabilities"):
        scenario.launch(slug)
    tables = ("waitlist_entries", "subscriptions", "deliveries")
    assert [scenario.rows(each) for each in tables] == [0, 1, 1], "as before, without the notes"
    assert len(scenario.mails()) == 1


def test_a_note_goes_a_year_after_it_was_asked_for_again_and_with_a_retired_group(scenario):
    scenario.wait_for()
    scenario.wait_for(BEN, "people-with-disabilities")
    with time_machine.travel(now() + 50 * DAY):
        scenario.wait_for()
    with scenario.services.writing.begin() as session:
        groups.mark_retired(session, group_named(session, "people-with-disabilities"))
        assert rooms.purge_all(session)["waitlist entries"] == 1
    for days, left in ((415, 1), (416, 0)):
        scenario.purge(timedelta(days=days))
        assert scenario.rows("waitlist_entries") == left


def test_notes_of_version_1_0_are_indexed_some_at_a_time(scenario):
    """In one transaction thousands would hold SQLite's lock for seconds."""
    with scenario.services.writing.begin() as session:
        group = group_named(session, SOON)
        for number in range(NOTES_AT_ONCE + 1):
            note = make_note(scenario.keyring, group, Signup(f"{number}@dpsk12.org", "en"))
            note.address_index = None
            session.add(note)
    for left in (1, 0):
        with scenario.services.writing.begin() as session:
            index_notes(scenario.worker.work_in(session))
            without = select(WaitlistEntry).where(WaitlistEntry.address_index.is_(None))
            assert len(session.scalars(without).all()) == left


def test_a_note_that_was_moved_or_that_no_key_opens_stops_no_other(scenario):
    for address in (ADA, BEN, "cy@dpsk12.org"):
        scenario.wait_for(address)
    with scenario.services.writing.begin() as session:
        moved, spoiled, _whole = session.scalars(select(WaitlistEntry).order_by(WaitlistEntry.id))
        moved.group_id = group_named(session, "people-with-disabilities").id
        unknown = WRAPPED + bytes(HEAD_OCTETS - len(WRAPPED))
        spoiled.wrapped_address = unknown + spoiled.wrapped_address[HEAD_OCTETS:]
        tell_launched(scenario.worker.work_in(session), 0)  # another worker has told of it
    for slug in ("people-with-disabilities", SOON):
        scenario.launch(slug)
    assert [one.recipient for one in scenario.relay.accepted] == ["cy@dpsk12.org"]
    assert scenario.rows("waitlist_entries") == 0


def run(cli, *arguments: str):
    return cli.invoke(args=["group", *arguments])


@on_sqlite
def test_the_office_lets_a_group_start_once_and_leaders_read_words_not_numbers(scenario, cli):
    lead = sign_in(scenario.visitor.client.application, scenario.keyring, SOON)
    for number in range(10):
        page = lead.open("/lead/").text
        assert "Fewer than 10 people have asked about it so far." in page
        scenario.wait_for(f"person{number}@dpsk12.org")
    page = lead.open("/lead/").text
    assert "Enough people are interested to start." in page
    assert "Not started yet." in page
    assert "Fewer than 10 members" not in page
    assert "Write a newsletter" not in page
    assert run(cli, "launch", SOON).exit_code == 0
    again = run(cli, "launch", SOON)
    assert (again.exit_code, again.output) == (1, f"Error: {SOON} has already started.\n")
    assert run(cli, "launch", "nowhere").exit_code == 2
    assert "established\tAutoimmune" in run(cli, "list").output


def notes_in(mail_text: str) -> list[str]:
    return [word for word in mail_text.split() if "/forget-note/" in word]


def test_a_waiting_person_can_cancel_by_an_emailed_link_that_asks_first(scenario):
    scenario.wait_for()
    scenario.visitor.send("/my-groups", email=ADA)
    [mail] = scenario.mails()
    [link] = notes_in(text_of(mail))
    asked = scenario.visitor.open(link).text
    assert "Autoimmune" in asked
    assert "Cancel the notification</button>" in asked
    assert scenario.rows("waitlist_entries") == 1
    assert "We canceled the notification" in scenario.visitor.follow(link).text
    assert scenario.rows("waitlist_entries") == 0
    assert scenario.visitor.follow(link).status_code == 200
    over = scenario.visitor.open(link)
    assert over.status_code == 410
    assert "This link is no longer needed" in over.text
    scenario.launch()
    assert len(scenario.mails()) == 1


def test_a_members_link_copy_erasing_and_move_know_the_note(scenario, visitor):
    scenario.enter()
    scenario.wait_for()

    def sheet(address: str = ADA) -> str:
        visitor.send("/my-groups", email=address)
        mail = scenario.mails(address)[-1]
        assert len(notes_in(text_of(mail))) == 1
        return link_to(mail, "my-groups").partition("?")[0]

    visitor.follow(f"{sheet()}/copy")
    waits = "You asked us to notify you when the Autoimmune Belong Group starts."
    assert waits in " ".join(text_of(scenario.mails()[-1]).split())
    new = "moved@dpsk12.org"
    scenario.wait_for(new)
    visitor.send(f"{sheet()}/change-address", email=new)
    visitor.follow(link_to(scenario.mails(new)[-1], "change-address"))
    path = sheet(new)
    assert scenario.rows("waitlist_entries") == 1, "two of one person became one"
    scenario.wait_for(new, "people-with-disabilities")
    visitor.follow(f"{path}/erase")
    scenario.worker.drain()
    visitor.send("/my-groups", email=new)
    assert notes_in(text_of(scenario.mails(new)[-1])) == []
    got = len(scenario.mails(new))
    scenario.launch()
    assert (scenario.rows("waitlist_entries"), len(scenario.mails(new))) == (1, got), "no one hears"
    drain_in(scenario.worker, days=2, minutes=2)
    assert (scenario.rows("waitlist_entries"), scenario.rows("subscriptions")) == (0, 0)
