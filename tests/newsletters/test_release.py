"""A lead writes, tests, releases, undoes, pauses, goes on and reads what became of it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import document_fromstring

from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.members.counts import count_watched
from belong_mail.newsletters.release import InvalidLocalTime, local_moment
from tests.browser_client import Form, html_of, text_of
from tests.clients import sign_in
from tests.db_dump import trail
from tests.markers import on_both
from tests.newsletters.flyers.samples import flyer
from tests.newsletters.pictures.samples import attach
from tests.newsletters.writing import act, release, write
from tests.scenario import drain_in


@on_both("journeys")
@pytest.mark.parametrize("settings", [{"BELONG_COPY_TO_OFFICE": "yes"}])
def test_a_lead_writes_tests_and_releases(lead, scenario):
    scenario.add_members(12)
    scenario.do(count_watched)
    page = write(lead)
    shown = lead.open(f"{page}/release").text
    assert "about 10 members" in shown
    assert Form(shown).fields["when"] == "10", "minutes to cancel it, unless one chooses"
    assert "the group’s leaders" not in shown, "there is one"
    act(lead, page, "test")
    test = scenario.mails("lead-of-the-village@dpsk12.org")[-1]
    assert test["Subject"] == "[Test] Tea on Friday"
    assert "Dear colleague" in text_of(test)

    assert lead.send(f"{page}/release", when="10").status_code == 303
    assert scenario.mails("member1@dpsk12.org") == []
    stands = lead.open(f"{page}/sending").text
    assert "you can cancel it" in stands
    assert "/static/progress.js" in stands
    assert "Where it stands" in lead.open(f"{page}/read").text, "there are no results yet"

    drain_in(scenario.worker, minutes=11)
    [mail] = scenario.relay.to("member1@dpsk12.org")
    assert mail["Subject"] == "Tea on Friday"
    assert "<strong>tea</strong>" in html_of(mail)
    stands = lead.open(f"{page}/sending").text
    assert "Sent to about 10 members." in stands
    assert "/static/progress.js" not in stands
    [copy] = scenario.relay.to("dps-belong@example.org")
    assert copy["Subject"] == "Tea on Friday"
    for mail, said in (
        (test, "This copy is for you as a group leader."),
        (copy, "This copy is for the Belong office."),
    ):
        assert mail["List-Unsubscribe"] is mail["List-Unsubscribe-Post"] is None
        for part in (text_of(mail), html_of(mail)):
            assert said in part
            assert "/leave/" not in part


def test_a_lead_reads_that_an_issue_had_nobody_to_go_to(lead, scenario):
    page = write(lead)
    release(lead, page, scenario.worker)
    said = lead.open(f"{page}/sending").text
    assert '<p class="notice" role="status"' in said
    assert "The group had no members to send it to." in said


def test_before_it_is_sent_a_lead_sees_what_members_will_get_in_each_language(lead):
    page = write(lead, **BOTH)
    attach(lead, page, flyer(), "Tea on Friday")
    root = document_fromstring(lead.open(f"{page}/release").text)
    facts = zip(root.xpath("//dt/text()"), root.xpath("//dd"), strict=True)
    assert {name: said.text_content().partition("PDF")[0].strip() for name, said in facts} == {
        "Subject": "Tea",
        "Subject in Spanish": "Té",
        "Attached flyers": "Tea on Friday",
    }
    words = [each.text_content().split() for each in root.iter("article")]
    assert words == [["In", "English", "Tea", "Come."], ["In", "Spanish", "Té", "Vengan."]]


# When an issue goes out: later, over the changes of the clocks, and after downtime.
DENVER = ZoneInfo("America/Denver")


def test_an_hour_that_comes_twice_means_the_first_one():
    moment = local_moment(datetime(2026, 11, 1, 1, 30), DENVER)  # noqa: DTZ001
    assert moment == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2037, 12, 31)))  # noqa: DTZ001
def test_every_local_time_exists_or_its_neighbour_does(local):
    try:
        shown = local_moment(local, DENVER).astimezone(DENVER)
    except InvalidLocalTime as skipped:
        shown = skipped.instead - timedelta(hours=1)
    assert shown.replace(tzinfo=None) == local


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("", "Choose a date and time."),
        ("yesterday", "Choose a date and time."),
        ("2020-01-01T10:00", "This time has already passed."),
        ("2037-01-01T10:00", "Choose a time within a year."),
        ("2026-03-08T02:30", "this time doesn’t exist. How about 3:30 AM?"),
    ],
)
def test_a_time_that_is_missing_odd_past_or_skipped_is_explained(lead, at, said):
    page = write(lead)
    answer = lead.send(f"{page}/release", when="later", at=at)
    assert answer.status_code == 422
    assert said in answer.text.partition('id="at-error"')[2]
    assert 'id="when-error"' not in answer.text
    assert "draft" in lead.open(f"{page}/sending").text


@pytest.mark.parametrize(("day", "next_weekday"), [(5, 6), (6, 9), (7, 9), (8, 9)])
def test_later_means_the_next_weekday_at_eight_unless_one_chooses(app, keyring, day, next_weekday):
    with time_machine.travel(datetime(2026, 3, day, 12, tzinfo=DENVER), tick=False):
        lead = sign_in(app, keyring, "the-village")
        page = write(lead)
        shown = lead.open(f"{page}/release").text
        assert Form(shown).fields["at"] == f"2026-03-{next_weekday:02}T08:00"
        assert f'min="2026-03-{day:02}T00:00"' in shown
        lead.send(f"{page}/release", when="later")
        stands = lead.open(f"{page}/sending").text
    assert f"March {next_weekday}, 2026, 8:00 AM, Denver time" in stands


def test_an_issue_for_later_leaves_then_and_not_before(lead, scenario):
    scenario.add_members(2)
    page = write(lead)
    later = (now() + timedelta(days=1)).astimezone(DENVER)
    at = f"{later:%Y-%m-%dT%H:%M}"
    assert lead.send(f"{page}/release", when="later", at=at).status_code == 303
    assert scenario.mails("member1@dpsk12.org") == []
    assert scenario.worker.waiting() == {"scheduled": 1}
    with time_machine.travel(later + timedelta(minutes=2), tick=True):
        scenario.worker.drain()
    assert len(scenario.relay.to("member1@dpsk12.org")) == 1
    assert scenario.worker.waiting() == {}


def test_an_issue_whose_time_passed_is_held_and_its_lead_asked_in_the_language_they_chose(
    lead, scenario
):
    scenario.add_members(2)
    assert "Our emails to you are in <strong>English</strong>" in lead.open("/account").text
    assert lead.act("/account/language", language="fr").status_code == 400
    chosen = lead.choose(lead.open("/account?lang=es").text, "Cambiar a Español")
    assert chosen.status_code == 303
    assert "are in <strong>Spanish</strong>" in lead.open("/account?lang=en").text
    page = write(lead)
    lead.send(f"{page}/release", when="1")
    drain_in(scenario.worker, hours=2)
    assert scenario.relay.to("member1@dpsk12.org") == []
    asked = scenario.relay.to("lead-of-the-village@dpsk12.org")[-1]
    assert asked["Subject"] == "Tu boletín no se envió. ¿Qué quieres hacer?"
    assert f"{page}/sending?lang=es" in text_of(asked)
    shown = lead.open(f"{page}/sending").text
    assert "Not sent at the scheduled time. What would you like to do?" in shown

    release(lead, page, scenario.worker)
    assert len(scenario.relay.to("member1@dpsk12.org")) == 1


def test_releasing_twice_or_undoing_too_late_changes_nothing(lead, scenario):
    scenario.add_members(1)
    page = write(lead)
    form = Form(lead.open(f"{page}/release").text).fields | {"when": "1"}
    assert lead.press(f"{page}/release", **form).status_code == 303
    assert lead.press(f"{page}/release", **form).status_code == 409
    for verb in ("release", "stop"):  # opened again, or typed: the page with “Undo”
        assert lead.open(f"{page}/{verb}").location == f"{page}/sending"
    drain_in(scenario.worker, minutes=3)
    assert lead.open(f"{page}/release").location == f"{page}/sending"
    assert lead.open(f"{page}/stop").status_code == 200
    assert lead.press(f"{page}/undo", csrf_token=form["csrf_token"]).status_code == 409
    assert len(scenario.relay.to("member0@dpsk12.org")) == 1


BOTH = {"subject": "Tea", "text": "Come.", "subject_es": "Té", "text_es": "Vengan."}
SPY = "https://spy.example.org/?n={first_name}"


@pytest.mark.parametrize(
    ("words", "place", "said"),
    [
        ({"subject": ""}, "subject", "Add a subject."),
        ({"text": ""}, "text", "Add some text."),
        ({"subject": "The Village meets"}, "subject", "names the group or says what it’s about"),
        ({"preheader": SPY}, "text", "would learn who reads it"),
        ({"text": f"Come: {SPY}"}, "text", "would learn who reads it"),
        ({"text": "![" * 30_000}, "text", "has so many marks"),
        ({"text": "*a* " * 11_000}, "text", "Gmail would cut off its end"),
        *(
            ({"text": f"[Sign up]({target})"}, "text", "The link “Sign up” has no address.")
            for target in ("", "https://", "HTTP:/", "mailto:", "<>", " ")
        ),
        ({"text": "![](picture:none)"}, "text", "A picture has no description"),
        ({"text": "![Tea](picture:x)"}, "text", "a picture that isn’t in this newsletter"),
        ({"text_es": "Vengan."}, "subject_es", "Spanish version needs both"),
        ({"subject_es": "Té"}, "text_es", "Spanish version needs both"),
    ],
)
def test_a_problem_that_forbids_sending_links_to_its_field_and_hides_the_send_button(
    lead, words, place, said
):
    page = write(lead, **words)
    for answer in (lead.open(f"{page}/release"), lead.act(f"{page}/release", when="1")):
        assert "<title>Problem: " in answer.text
        summary = answer.text.partition('<div class="problem" role="alert"')[2]
        assert "autofocus" in summary.partition(">")[0]
        assert said in summary.partition(f'<a href="{page}#{place}">')[2].partition("</a>")[0]
        assert "Send to members" not in answer.text
    assert f'id="{place}"' in lead.open(page).text
    assert answer.status_code == 422


# A test goes to oneself, to the group's other leaders, or to all, in each language at once.


LEAD, SECOND, FOREIGN = (
    f"{name}@dpsk12.org" for name in ("lead-of-the-village", "second", "lead-of-asian")
)


def copies_for(scenario, address: str) -> list[str]:
    return sorted(str(m["Subject"]) for m in scenario.mails(address) if "]" in m["Subject"])


@pytest.fixture
def second(app, scenario):
    return sign_in(app, scenario.keyring, "the-village", SECOND)


def ask(lead, page: str, whom: str) -> str:
    answer = lead.act(f"{page}/test", to=whom)
    assert answer.status_code == 303
    return lead.open(answer.location).text


@pytest.mark.usefixtures("other_lead", "second")
@pytest.mark.parametrize(
    ("words", "to_second"), [("Send me a test copy", 0), ("Send a copy to the group’s leaders", 2)]
)
def test_a_test_copy_in_each_language_goes_to_the_leaders_who_were_chosen(
    lead, scenario, words, to_second
):
    page = write(lead, **BOTH)
    shown = lead.open(f"{page}/release").text
    assert SECOND not in shown
    answer = lead.open(lead.choose(shown, words).location).text
    assert "test cop" in answer.partition("</h1>")[2].partition("<form")[0]
    both = ["[Prueba] Té", "[Test] Tea"]
    assert copies_for(scenario, LEAD) == both
    assert copies_for(scenario, SECOND) == both[:to_second]
    assert copies_for(scenario, FOREIGN) == []
    for mail in [*scenario.relay.to(LEAD), *scenario.relay.to(SECOND)]:
        if str(mail["Subject"]) == "[Prueba] Té":
            assert "Vengan." in text_of(mail)
            assert 'lang="es"' in html_of(mail)
    [entry] = trail(scenario.services, Kind.TEST_SENT)
    assert (entry.group_slug, page.endswith(str(entry.newsletter))) == ("the-village", True)


def test_a_test_in_one_language_comes_once_among_words_of_the_readers_own(lead, second, scenario):
    second.act("/account/language", language="es")
    ask(lead, write(lead), "all")
    for address, language in ((LEAD, "en"), (SECOND, "es")):
        assert copies_for(scenario, address) == ["[Test] Tea on Friday"]
        assert f'<html lang="{language}"' in html_of(scenario.relay.to(address)[-1])


def test_nobody_fills_a_colleagues_inbox_with_tests(lead, second, scenario):
    page = write(lead)
    for _ in range(6):
        assert "emailing the test copies" in ask(lead, page, "all")
    assert "Try again in an hour." in ask(lead, page, "all")
    assert "Try again in an hour." in ask(second, page, "all")
    assert len(copies_for(scenario, SECOND)) == 6
    for _ in range(14):
        assert "We’re emailing you a test copy." in ask(lead, page, "me")
    assert "Try again in an hour." in ask(lead, page, "me")
