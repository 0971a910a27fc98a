"""The office adds, describes, marks, orders and launches groups; the quiet-mail gate follows."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.accounts import invitations
from belong_mail.core.db import now
from belong_mail.groups import service as groups
from belong_mail.groups.header_words import identifying_word, is_discreet
from belong_mail.groups.models import Group
from belong_mail.meetings import service as meetings
from belong_mail.newsletters import service as newsletters
from tests.browser_client import Form, differences
from tests.db_dump import trail
from tests.factories import group_named, launch_an_hour_ago, make_member, plan_meeting, queue_issue
from tests.markers import on_both
from tests.scenario import drain_in

NEW = "/office/new-group"
TYPED = {
    "name": "Muslim Educators",
    "summary_en": "For staff who pray.",
    "summary_es": "Para el personal que reza.",
}
MUSLIM = "/office/groups/muslim-educators"


def read(services, slug: str):
    with services.reading.begin() as session:
        return group_named(session, slug)


def press(visitor, path: str, **fields) -> int:
    return visitor.act(path, **fields).status_code


def order(visitor) -> list[str]:
    return [part.split('"')[0] for part in visitor.open("/").text.split('<a href="/groups/')[1:]]


@on_both("JSON and sequences")
def test_a_group_is_added_in_both_languages_and_launched_once_after_a_rounded_question(
    office, visitor, worker, relay, services, keyring
):
    answer = office.send(NEW, **TYPED)
    assert answer.location == f"{MUSLIM}?done=added"
    added, fold = office.open(answer.location).text, "<details{}>\n    <summary>Words and rules"
    for each in ("The group is on the list.", "needs a leader who has accepted.", fold.format("")):
        assert each in added
    assert not read(services, "muslim-educators").allows_personal_addresses
    assert "For staff who pray." in visitor.open("/groups/muslim-educators").text
    spanish = visitor.open("/groups/muslim-educators?lang=es").text
    assert "Para el personal que reza." in spanish
    visitor.send("/groups/muslim-educators/tell-me", email="waits@dpsk12.org")
    worker.drain()
    asked, launch = office.open(MUSLIM).text, f"{MUSLIM}/launch"
    assert "Fewer than 10 people" in asked
    assert "Import a list" not in asked, "nobody can join yet"
    assert "waits@" not in asked
    assert press(office, launch) == 409
    with services.writing.begin() as session:
        group = group_named(session, "muslim-educators")
        invitations.invite(session, keyring, group, "a@dpsk12.org")
        group.summary, words = {}, group.summary
    assert press(office, launch) == 409, "nothing says what it is for"
    lacking = office.open(MUSLIM).text
    assert "needs a line that says what it’s for. Then" in lacking
    assert fold.format(" open") in lacking
    with services.writing.begin() as session:
        group_named(session, "muslim-educators").summary = words
    assert visitor.open("/groups/muslim-educators/join").status_code == 404
    assert "Open sign-up" in office.open(MUSLIM).text
    assert press(office, launch) == 303
    assert visitor.open("/groups/muslim-educators/join").status_code == 200
    for minutes, told in ((59, 0), (60, 1)):
        with time_machine.travel(now() + timedelta(minutes=minutes)):
            worker.drain()
            assert len(relay.to("waits@dpsk12.org")) == told
    assert press(office, launch) == 409


def test_the_start_of_a_group_is_undone_within_an_hour_and_nobody_was_told(
    office, visitor, worker, relay, services
):
    visitor.send("/groups/autoimmune/tell-me", email="waits@dpsk12.org")
    worker.drain()
    with services.writing.begin() as session:
        groups.launch(group_named(session, "autoimmune"))
    page = "/office/groups/autoimmune"
    assert "Undo the start" in office.open(page).text
    assert press(office, f"{page}/undo") == 303
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        worker.drain()
        assert relay.to("waits@dpsk12.org") == []
    assert visitor.open("/groups/autoimmune/join").status_code == 404
    with services.writing.begin() as session:
        group_named(session, "autoimmune").created_at = now() - timedelta(days=9)
        launch_an_hour_ago(session, "autoimmune")
    assert press(office, f"{page}/undo") == 409
    assert "Undo the start" not in office.open(page).text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "Enter the group’s name."),
        ({"name": "asian"}, "Another group has this name, or had it."),
        ({"name": "The... VILLAGE"}, "Another group has this name, or had it."),
        ({"name": "«»"}, "Another group has this name, or had it."),
        ({"name": "x" * 61}, "Use at most 60 characters."),
        ({"name": "a\u202eb"}, "This contains a character we can’t read."),
    ],
)
def test_an_invalid_group_name_is_explained_and_the_form_is_kept(office, services, typed, said):
    answer = office.send(NEW, **TYPED | typed)
    assert answer.status_code == 422
    assert said.casefold() in answer.text.casefold()
    assert Form(answer.text).fields["summary_es"] == TYPED["summary_es"]
    with services.reading.begin() as session:
        assert len(groups.listed(session)) == 10


def test_a_renamed_group_keeps_its_address_and_no_subject_may_say_either_name(
    office, visitor, services, worker
):
    office.send(NEW, **TYPED)
    assert office.send(MUSLIM, identifying_words_es="x" * 61).status_code == 422
    assert (
        office.send(MUSLIM, name="Crescent", identifying_words_es="media luna").status_code == 303
    )
    drain_in(worker, minutes=2)
    group = read(services, "muslim-educators")
    assert group.known_names == ["Muslim Educators", "Crescent"]
    for subject in ("For our Muslims", "The crescent", "Fiesta de la media luna"):
        assert identifying_word(group, subject), subject
    assert identifying_word(group, "Tea on Friday") == ""
    assert "Crescent" in visitor.open("/groups/muslim-educators").text
    assert office.send(MUSLIM, name="ASIAN").status_code == 422
    office.send("/office/groups/asian", name="Lotus Network")
    known = read(services, "asian")
    for subject in ("Lotus news", "Asian news", "AAPI month"):
        assert identifying_word(known, subject), subject
    assert not is_discreet(known)
    office.send("/office/groups/asian", name="Living with lupus")
    assert is_discreet(read(services, "asian"))


def test_names_that_the_web_makes_up_each_minute_neither_grow_nor_hide_what_was_first(services):
    with services.writing.begin() as session:
        group = group_named(session, "asian")
        first = list(group.known_names)
        for number in range(300):
            group.name = f"{number} {9_000 * 'x'}"
            groups.note_names(session)
        assert (group.known_names[:1], len(group.known_names)) == (first, 200)
        assert max(map(len, group.known_names)) == 100


def test_a_group_that_is_marked_as_discreet_is_so_everywhere(office, visitor, services, keyring):
    office.send(NEW, **TYPED)
    with services.writing.begin() as session:
        plan_meeting(session, "muslim-educators")
        make_member(session, keyring, "ada@dpsk12.org", "muslim-educators")
    feed = "/groups/muslim-educators/calendar.ics"
    assert "Muslim" in visitor.open(feed).text
    assert "Discreet ·" not in office.open(MUSLIM).text
    office.send(MUSLIM, is_discreet="y", identifying_words_en="Ramadan")
    assert "Muslim" not in visitor.open(feed).text
    assert "Belong meeting" in visitor.open(feed).text
    with services.writing.begin() as session, pytest.raises(newsletters.InvalidState):
        queue_issue(session, "muslim-educators", "Tea in Ramadan")
    assert "Discreet" in office.open("/office/groups").text
    assert "Discreet ·" in office.open(MUSLIM).text


def test_the_districts_discreet_groups_cannot_be_made_less_private(office, services):
    for slug in groups.DISCREET:
        assert read(services, slug).is_discreet
    page = "/office/groups/lgbtq"
    assert "This group is discreet whatever you choose" in office.open(page).text
    fields = Form(office.open(page).text).fields
    del fields["is_discreet"]
    assert office.press(page, **fields).status_code == 303
    assert not read(services, "lgbtq").is_discreet
    assert is_discreet(read(services, "lgbtq"))


@on_both("places are unique")
def test_groups_change_places_and_those_at_the_ends_stay(office, visitor):
    before, listed = order(visitor), "/office/groups?order=1"
    [hue] = re.findall(r'class="hue-\d+" id="asian"', office.open(listed).text)
    assert press(office, "/office/groups/asian/move", to="up") == 303
    assert hue in office.open(listed).text
    assert order(visitor)[:3] == ["asian", before[0], before[2]]
    for slug, to in (("asian", "up"), (before[-1], "down"), ("asian", "sideways")):
        assert press(office, f"/office/groups/{slug}/move", to=to) == 303
    assert order(visitor)[:3] == ["asian", before[0], before[2]]
    press(office, "/office/groups/asian/move", to="down")
    assert order(visitor) == before
    press(office, "/office/groups/lgbtq/move", to="top")
    assert order(visitor)[:3] == ["lgbtq", *before[:2]]


def test_the_trail_has_the_offices_changes_to_a_group_personal_addresses_included(office, services):
    page, mark = "/office/groups/asian", "allows_personal_addresses"
    fields = Form(office.open(page).text).fields
    assert mark not in fields
    old = read(services, "asian").summary
    office.send(page)
    office.send(page, summary_en="Other words")
    assert read(services, "asian").summary["en"] == "Other words"
    office.send("/lead/groups/asian/page", undo="1")
    assert read(services, "asian").summary == old, "a leader can undo it"
    office.send(page, name="Lotus", is_discreet="y")
    office.send(page, **{mark: "y"})
    assert read(services, "asian").allows_personal_addresses
    now_set = Form(office.open(page).text).fields
    assert now_set[mark] == "y"
    office.press(page, **{name: now_set[name] for name in fields})
    assert not read(services, "asian").allows_personal_addresses
    press(office, f"{page}/move", to="down")
    said = [each.kind for each in trail(services) if each.role == "account"]
    assert [each for each in said if each != "group page changed"][-7:] == [
        "group changed",
        "group renamed",
        "group marked as discreet",
        "personal addresses allowed in a group",
        "group no longer marked as discreet",
        "personal addresses no longer allowed in a group",
        "group moved in the list",
    ]


@pytest.mark.usefixtures("clock")
def test_list_and_page_say_when_a_group_last_wrote_and_meets_next_and_show_no_draft(
    office, services
):
    with services.writing.begin() as session:
        newsletters.draft(session, group_named(session, "asian"), "Not yet", "Tea.")
        later = newsletters.draft(session, group_named(session, "asian"), "For later", "Tea.")
        later.due_at = now() + timedelta(days=1)
        first = now().date() + timedelta(weeks=12)
        meeting = plan_meeting(session, "asian", starts_on=first, repeats="weekly")
        meetings.cancel_day(meeting, first)
        moved = first + timedelta(days=8)
        meetings.change_day(meeting, first + timedelta(weeks=1), held_on=moved)
        issue = queue_issue(session, "asian")
        issue.queued_at = datetime(2026, 9, 9, 18, tzinfo=UTC)
        group_named(session, "lgbtq").ends_at = datetime(2027, 1, 1, 7, tzinfo=UTC)
    assert 'href="/office/groups"' in office.open("/office").text
    page = office.open("/office/groups").text
    assert page.count('href="/office/groups/') == 10
    [asian] = [row for row in page.split('<tr role="row"') if 'id="asian"' in row]
    assert "Until December 31</span>" in page, "short, or a phone shows the list too wide"
    page = office.open(PAGE).text
    for shown in (asian, page):
        assert f"{moved:%B} {moved.day}" in shown
        assert "September 9" in shown
    waiting = page.partition("<h2>Waiting</h2>")[2].partition("<h2>")[0]
    assert "For later" in waiting
    assert "Not yet" not in page
    assert "For later" not in office.open("/office/groups/lgbtq").text


# The line about the people whom a group welcomes: a line that the office alone writes.


PAGE = "/office/groups/asian"
LINE = {"audience_en": "Friends are welcome", "audience_es": "Las amistades son bienvenidas"}


def test_the_office_says_whom_a_group_welcomes_in_every_language(office, visitor, services):
    assert "Friends are welcome" not in visitor.open("/groups/asian").text
    answer = office.send(PAGE, **LINE)
    assert answer.status_code == 303
    assert "Saved." in office.open(answer.location).text
    assert "<li>Friends are welcome</li>" in visitor.open("/groups/asian").text
    spanish = visitor.open("/groups/asian?lang=es").text
    assert "<li>Las amistades son bienvenidas</li>" in spanish
    assert "Friends are welcome" in visitor.open("/groups/asian/poster").text
    assert Form(office.open(PAGE).text).fields["audience_en"] == "Friends are welcome"
    edit = "/lead/groups/asian/page"
    assert "Friends are welcome" in office.send(edit, summary_en="New", preview="1").text
    office.send(edit, summary_en="New")
    for _ in range(2):
        assert "Friends are welcome" in visitor.open("/groups/asian").text
        office.act(f"{edit}/undo")
    for wrong in ("x" * 161, "one\ntwo", "a\u202eb"):
        answer = office.send(PAGE, **LINE | {"audience_en": wrong})
        assert answer.status_code == 422
        assert "Problem: " in answer.text
        assert Form(answer.text).fields["audience_es"] == LINE["audience_es"]
    assert office.press(PAGE, **LINE).status_code == 400
    assert office.send(PAGE, audience_en="", audience_es="").status_code == 303
    assert "welcome" not in visitor.open("/groups/asian").text.partition('class="columns"')[0]

    fields = Form(office.open(PAGE).text).fields
    with services.writing.begin() as session:
        groups.mark_retired(session, group_named(session, "asian"))
    for page, status in ((PAGE, 409), ("/office/groups/nowhere", 404)):
        assert "audience_en" not in office.open(page).text
        assert office.press(page, **{**fields, **LINE}).status_code == status
    with services.reading.begin() as session:
        assert session.scalars(select(Group.audience).where(Group.slug == "asian")).one() == {}


def test_a_colleagues_change_saved_meanwhile_is_kept_and_shown(office, services):
    opened = Form(office.open(PAGE).text).fields
    theirs = {"mission_en": "We learn together.", "allows_personal_addresses": "y"}
    assert office.send(PAGE, **theirs).status_code == 303
    answer = office.press(PAGE, **opened | LINE)
    assert answer.status_code == 409
    assert "Someone else changed this group in the meantime." in answer.text
    changed = differences(answer.text)
    assert "[Only in the saved version: learn together.]" in changed["Its mission"]
    personal = changed["Staff may join with a personal email address"]
    assert personal == "[Only in yours: No][Only in the saved version: Yes]"
    stored = read(services, "asian")
    assert (stored.mission["en"], stored.audience) == ("We learn together.", {})
    assert stored.allows_personal_addresses
    fields = Form(answer.text).fields
    assert fields["audience_en"] == LINE["audience_en"]
    assert office.press(PAGE, **fields | theirs).status_code == 303, "having seen both"
    assert read(services, "asian").audience["en"] == LINE["audience_en"]
