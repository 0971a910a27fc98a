"""People wait for an upcoming group: no mail before it starts, then one, then none."""

from datetime import timedelta

import time_machine
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from belong_mail.core.db import now
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups import service as groups
from belong_mail.members import service as members
from belong_mail.members.models import WaitlistEntry
from belong_mail.ops import demo_data, rooms
from tests.browser_client import html_of, link_to, text_of
from tests.factories import group_named, launch_an_hour_ago, make_member
from tests.markers import on_both, on_sqlite, periodic_tasks
from tests.members.waiting_list.upcoming import PATH, SOON, launch, wait_for
from tests.scenario import ADA, VILLAGE

pytestmark = periodic_tasks

BEN = "ben@dpsk12.org"
DAY = timedelta(days=1)


def test_the_page_of_an_upcoming_group_leads_to_one_field_and_says_what_happens(scenario):
    page = scenario.visitor.open(f"/groups/{SOON}").text
    assert f'href="{PATH}"' in page
    asked = scenario.visitor.open(PATH).text
    with time_machine.travel(now(), tick=False):
        assert "This doesn’t make you a member" in asked
        assert f"{members.last_day():%Y}" in asked
    wait_for(scenario)
    assert f"{members.last_day():%Y}" in scenario.visitor.open("/noted").text


def test_when_it_starts_one_mail_asks_once_and_the_note_is_gone(scenario):
    wait_for(scenario)
    assert scenario.mails() == []
    assert not scenario.is_member(slug=SOON)
    assert (scenario.rows("waitlist_entries"), scenario.rows("subscriptions")) == (1, 0)
    launch(scenario)
    [mail] = scenario.mails()
    assert mail["Subject"] == "A group you asked about has started"
    assert "Autoimmune has started" not in str(mail["Subject"])
    assert "when the Autoimmune Belong Group starts. It has started." in text_of(mail)
    assert "<strong>the Autoimmune Belong Group</strong>" in html_of(mail)
    assert scenario.rows("waitlist_entries") == 0
    assert not scenario.is_member(slug=SOON), "only a fresh confirmation makes a member"
    assert [len(scenario.mails()) for _ in range(3)] == [1, 1, 1]
    assert scenario.visitor.open(link_to(mail, "confirm")).status_code == 200
    assert not scenario.is_member(slug=SOON)
    assert scenario.visitor.follow(link_to(mail, "confirm")).status_code == 200
    assert scenario.is_member(slug=SOON)
    assert [each["Subject"] for each in scenario.mails()][1:] == ["Welcome! You’re in."]


def test_asking_again_and_again_leaves_one_note_and_brings_one_mail(scenario):
    for spelling in (ADA, ADA.upper().replace("DPSK12.ORG", "dpsk12.org"), f" {ADA} "):
        wait_for(scenario, spelling)
    assert scenario.rows("waitlist_entries") == 1
    launch(scenario)
    assert sum(len(scenario.mails(each)) for each in (ADA, ADA.partition("@")[0].upper())) <= 1
    assert len(scenario.relay.accepted) == 1


def test_the_mail_speaks_the_language_that_was_chosen(scenario):
    wait_for(scenario, language="es")
    launch(scenario)
    [mail] = scenario.mails()
    assert mail["Subject"] == "Ya empezó el grupo que esperabas"
    assert "lang=es" in link_to(mail, "confirm")


@on_both("claims")
def test_many_wait_and_each_gets_one_mail_and_the_books_balance(scenario):
    people = [f"person{number}@dpsk12.org" for number in range(25)]
    for person in people:
        scenario.visitor.send(PATH, email=person)
    scenario.worker.drain()
    assert scenario.rows("waitlist_entries") == 25
    launch(scenario)
    assert sorted(mail.recipient for mail in scenario.relay.accepted) == sorted(people)
    with scenario.services.reading.begin() as session:
        states = session.scalars(select(Delivery.state)).all()
    assert states == [State.ACCEPTED] * 25


def test_a_relay_that_is_down_loses_nobody_and_doubles_nothing(scenario):
    wait_for(scenario)
    scenario.relay.always("CONNECT", "421 4.3.2 down")
    launch(scenario)
    assert (len(scenario.relay.accepted), scenario.rows("waitlist_entries")) == (0, 0)
    assert scenario.rows("deliveries") == 1
    scenario.relay.always("CONNECT", "220 up")
    with time_machine.travel(now() + timedelta(hours=1)):
        assert len(scenario.mails()) == 1


@on_both("races")
def test_who_asks_in_the_minute_of_the_launch_is_told_as_well(scenario):
    scenario.visitor.send(PATH, email=ADA)
    with scenario.services.writing.begin() as session:
        launch_an_hour_ago(session, SOON)
    assert len(scenario.mails()) == 1
    assert scenario.rows("waitlist_entries") == 0


def test_when_it_has_started_the_old_address_leads_to_the_sign_up(scenario):
    launch(scenario)
    assert scenario.visitor.open(PATH).location == f"/groups/{SOON}/join"
    assert scenario.visitor.open(f"/groups/{VILLAGE}/tell-me").location == f"/groups/{VILLAGE}/join"


def test_who_has_joined_already_hears_that_they_are_in(scenario):
    """A silence would tell whoever left the note, and sees the rows, of the membership."""
    wait_for(scenario)
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, ADA, SOON)
    launch(scenario)
    assert [each["Subject"] for each in scenario.mails()] == ["About your request"]
    assert scenario.rows("waitlist_entries") == 0


def test_who_wants_no_mail_ever_is_told_nothing_and_leaves_a_note_like_anyone(scenario):
    """By a missing note whoever sees the rows would learn whose membership wants no email."""
    wait_for(scenario)
    scenario.visitor.follow(link_to(scenario.ask(), "not-me"), choice="never")
    scenario.worker.drain()
    assert scenario.rows("waitlist_entries") == 1
    wait_for(scenario, slug="people-with-disabilities")
    assert scenario.rows("waitlist_entries") == 2
    for slug in (SOON, "people-with-disabilities"):
        launch(scenario, slug)
    assert scenario.rows("waitlist_entries") == 0
    assert len(scenario.mails()) == 1, "the one that was asked for before"


def test_the_mail_has_a_link_after_which_no_mail_comes_ever(scenario):
    wait_for(scenario)
    wait_for(scenario, slug="people-with-disabilities")
    launch(scenario)
    [mail] = scenario.mails()
    scenario.visitor.follow(link_to(mail, "not-me"), choice="never")
    launch(scenario, "people-with-disabilities")
    scenario.visitor.join(VILLAGE, ADA)
    assert len(scenario.mails()) == 1
    assert (scenario.rows("waitlist_entries"), scenario.rows("suppressions")) == (0, 1)


def test_a_note_goes_when_its_day_is_over_and_with_a_retired_group(scenario):
    wait_for(scenario)
    wait_for(scenario, BEN, "people-with-disabilities")
    with scenario.services.writing.begin() as session:
        groups.mark_retired(session, group_named(session, "people-with-disabilities"))
        assert rooms.purge_all(session, now())["waitlist entries"] == 1
    for days, left in ((365, 1), (366, 0)):
        with scenario.services.writing.begin() as session:
            rooms.purge_all(session, now() + timedelta(days=days))
        assert scenario.rows("waitlist_entries") == left


def test_the_confirmation_goes_after_a_week_and_nothing_stays(scenario):
    wait_for(scenario)
    launch(scenario)
    with scenario.services.writing.begin() as session:
        rooms.purge_all(session, now() + 8 * DAY)
    assert (scenario.rows("pending_confirmations"), scenario.rows("subscriptions")) == (0, 0)


def test_the_mail_counts_among_the_confirmations_that_an_address_gets(scenario):
    """A stranger who types an address everywhere causes no more mail by it than by joining."""
    wait_for(scenario)
    launch(scenario)
    data = {"email": ADA}
    for _ in range(5):
        scenario.visitor.send(f"/groups/{SOON}/join", **data)
    assert len(scenario.mails()) == 1


def test_a_note_that_was_moved_to_another_group_or_row_opens_nowhere(scenario):
    wait_for(scenario)
    with scenario.services.writing.begin() as session:
        other = group_named(session, "people-with-disabilities")
        session.execute(update(WaitlistEntry).values(group_id=other.id))
    launch(scenario, "people-with-disabilities")
    assert scenario.mails() == []
    assert scenario.rows("waitlist_entries") == 0


def run(cli: FlaskCliRunner, *arguments: str) -> Result:
    return cli.invoke(args=["group", *arguments])


@on_sqlite
def test_the_office_lets_a_group_start_once_and_leaders_read_words_not_numbers(scenario, cli):
    def interest() -> members.InterestLevel:
        with scenario.services.reading.begin() as session:
            return members.interest_level(session, group_named(session, SOON))

    for number in range(members.ENOUGH_INTEREST):
        assert interest() is members.InterestLevel.FEW
        wait_for(scenario, f"person{number}@dpsk12.org")
    assert interest() is members.InterestLevel.ENOUGH
    assert run(cli, "launch", SOON).exit_code == 0
    again = run(cli, "launch", SOON)
    assert (again.exit_code, again.output) == (1, f"Error: {SOON} has already started.\n")
    assert run(cli, "launch", "nowhere").exit_code == 2
    assert "established\tAutoimmune" in run(cli, "list").output


def test_who_joins_while_the_launch_mail_waits_is_asked_once(scenario):
    wait_for(scenario)
    scenario.relay.always("CONNECT", "421 4.3.2 down")
    launch(scenario)
    scenario.visitor.join(SOON, ADA)
    scenario.worker.drain()
    assert (scenario.rows("pending_confirmations"), scenario.rows("deliveries")) == (1, 1)


def test_a_barred_address_leaves_nothing_behind_at_the_launch(scenario):
    wait_for(scenario)
    with scenario.services.writing.begin() as session:
        suppressions.suppress(session, scenario.keyring.index, ADA, "asked")
    launch(scenario)
    tables = ("waitlist_entries", "subscriptions", "deliveries")
    assert not any(scenario.rows(each) for each in tables)


def test_in_the_sample_enough_people_wait_for_one_group_and_are_told(scenario):
    with scenario.services.writing.begin() as session:
        demo_data.fill_demo(session, scenario.keyring)
    with scenario.services.reading.begin() as session:
        said = {
            slug: members.interest_level(session, group_named(session, slug))
            for slug in (demo_data.DEMO_UPCOMING, SOON)
        }
    levels = members.InterestLevel
    assert said == {demo_data.DEMO_UPCOMING: levels.ENOUGH, SOON: levels.FEW}
    launch(scenario, demo_data.DEMO_UPCOMING)
    assert len(scenario.mails("waiting-3@example.org")) == 1
