"""The office changes settings that are no secrets; pages and emails follow without a restart."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from belong_mail.accounts.models import Right
from belong_mail.core import site_settings
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.site_settings import SiteSetting
from belong_mail.groups.header_words import identifying_word, site_words
from belong_mail.newsletters import service as newsletters
from tests.browser_client import Form, html_of, text_of
from tests.database import execute
from tests.db_dump import dump_of, trail
from tests.factories import group_named
from tests.markers import on_both
from tests.overlapping import do_twice_at_once
from tests.scenario import drain_in

SETTINGS = "/office/settings"
LEAD = "lead-of-asian@dpsk12.org"
INBOX = "dps-belong@example.org"
CHANGED = "Settings of the DPS Belong site were changed"
VIDEO = "https://video.example.org/belong"
HELP = "Line 555 https://one.example.org\nCrisis line 800-555-0199 https://two.example.org"


def minutes_later(worker, minutes: int = 2) -> None:
    drain_in(worker, minutes=minutes)


@on_both("an insert of each dialect")
def test_pages_show_at_once_what_the_office_has_set_and_the_default_again(office, visitor):
    for name, value, page in (
        ("video_url", VIDEO, "/"),
        ("help_lines", HELP, "/contact"),
        ("help_lines", "Line 555 https://tell.example.org", "/contact"),
    ):
        shown = value.split()[-1]
        assert shown not in visitor.open(page).text
        answer = office.send(SETTINGS, **{name: value})
        assert answer.status_code == 303
        assert "Saved." in office.open(answer.location).text
        assert shown in visitor.open(page).text
        assert value in office.open(SETTINGS).text
        assert office.send(SETTINGS, **{name: ""}).status_code == 303
        assert shown not in visitor.open(page).text


def test_emails_have_the_new_postal_line_and_the_office_is_told_once(
    office, visitor, worker, relay
):
    office.send(SETTINGS, postal_address="DPS Belong, 1 Main St, Denver")
    minutes_later(worker)
    minutes_later(worker, 4)
    for address in (LEAD, INBOX):
        [told] = [mail for mail in relay.to(address) if "Settings" in str(mail["Subject"])]
        assert SETTINGS in text_of(told)
    assert "the inbox of the Belong office" in text_of(told)
    visitor.join("the-village", "new@dpsk12.org")
    worker.drain()
    [mail] = relay.to("new@dpsk12.org")
    for body in (text_of(mail), html_of(mail)):
        assert "1 Main St" in body
        assert "sample line" not in body
    assert text_of(mail).count("DPS Belong") == 1


@pytest.mark.parametrize("is_asked_for", [False, True])
def test_inbox_and_office_are_told_though_rows_say_that_nobody_is_of_the_office(
    office, services, worker, relay, is_asked_for
):
    office.send(SETTINGS, help_lines=HELP)
    if is_asked_for:
        assert worker._periodic_tasks.run()
    execute(services, update(Right).values(accepted_at=None))
    minutes_later(worker)
    for address in (INBOX, LEAD) if is_asked_for else (INBOX,):
        assert [str(mail["Subject"]) for mail in relay.to(address)].count(CHANGED) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_setting_changed_and_locked_by_the_web_is_unused_until_the_office_is_told(
    office, visitor, services, worker, relay
):
    office.send(SETTINGS, postal_address="DPS Belong, 1 Main St, Denver")
    office.send(SETTINGS, words="sunrise")
    minutes_later(worker)
    minutes_later(worker, 4)
    for name, value in (("postal_address", "Scam, 2 Main St"), ("discreet_words", None)):
        one = update(SiteSetting).where(SiteSetting.name == name)
        execute(services, one.values(value=value))
    with services.engine.connect() as connection:
        connection.execute(select(SiteSetting.name).with_for_update())
        minutes_later(worker, 6)
        minutes_later(worker, 8)
        visitor.join("the-village", "new@dpsk12.org")
        worker.drain()
    [mail] = relay.to("new@dpsk12.org")
    assert "1 Main St" in text_of(mail)
    with services.reading.begin() as session:
        assert identifying_word(group_named(session, "lgbtq"), "A sunrise walk")
    minutes_later(worker, 10)
    assert [str(mail["Subject"]) for mail in relay.to(INBOX)] == [CHANGED] * 2
    with services.reading.begin() as session:
        assert not identifying_word(group_named(session, "lgbtq"), "A sunrise walk")


@on_both("races")
def test_two_workers_at_once_tell_of_a_change_once(office, services):
    office.send(SETTINGS, postal_address="DPS Belong, 1 Main St, Denver")
    told: list[str] = []

    def tell(session) -> None:
        for each in site_settings.unannounced(session):
            each.announced = each.value
            told.append(each.name)

    do_twice_at_once(services, tell)
    assert told == ["postal_address"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("video_url", "http://video.example.org"),
        ("help_lines", "https://evil.example.org 555 https://tell.example.org"),
        ("help_lines", "\n".join(["Line 555 https://tell.example.org"] * 6)),
        ("postal_address", "Verify at https://evil.example.org"),
        ("postal_address", "Write to help@evil.example.org"),
        ("postal_address", "Verify at WWW.evil.example.org"),
        ("postal_address", "x" * 201),
        ("postal_address", "two\nlines"),
    ],
)
def test_an_invalid_setting_is_explained_and_not_used(office, services, name, wrong):
    answer = office.send(SETTINGS, **{name: wrong})
    assert answer.status_code == 422
    assert "Problem: " in answer.text
    with services.writing.begin() as session:
        assert session.scalars(select(SiteSetting)).all() == []
        session.add(SiteSetting(name=name, value=wrong))
        session.flush()
        current = site_settings.with_changes(session, services.settings)
        is_weak = name == "video_url" and wrong.startswith("http:")
        assert is_weak or current == services.settings


def test_no_address_of_ours_and_no_secret_is_a_setting_of_the_office(office, services):
    for name in ("contact_inbox", "alert_address", "secret_keys", "database_url", "nothing"):
        assert office.forge(SETTINGS, **{name: "me@evil.example.org"}).status_code == 303
        with services.writing.begin() as session:
            session.add(SiteSetting(name=name, value="me@evil.example.org"))
            session.flush()
            assert site_settings.with_changes(session, services.settings) == services.settings


def test_the_trail_names_the_setting_and_not_its_value(office, services):
    assert office.send(SETTINGS).status_code == 303
    assert dump_of(services)["site_settings"] == [], "as it is, it changes nothing"
    office.send(SETTINGS, video_url=VIDEO)
    office.send(SETTINGS, video_url=VIDEO)
    [entry] = trail(services, Kind.SETTING_CHANGED)
    assert (entry.detail, entry.role) == ("video_url", "account")


def held(services, issue: str) -> bool:
    with services.reading.begin() as session:
        found = newsletters.find(session, issue)
        return found is not None and found.held_at is not None


def scheduled(services, slug: str, subject: str, spanish: str = "") -> str:
    """Have an issue wait that is due in a minute; return its id."""
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, slug), subject, "Come.")
        issue.subject, issue.text = {"en": subject, "es": spanish}, {"en": "Come.", "es": "Ven."}
        issue.due_at = now() + timedelta(minutes=1)
        return issue.public_id


def test_no_discreet_group_shows_a_word_of_the_sites_list(office, services, worker):
    english, spanish = (
        scheduled(services, "lgbtq", "Sunrises"),
        scheduled(services, "lgbtq", "Breakfast", "Al amanecer"),
    )
    quiet, loud = scheduled(services, "lgbtq", "Breakfast"), scheduled(services, "asian", "Sunrise")
    answer = office.send(SETTINGS, words="sunrise\r\namanecer\r\n")
    assert answer.status_code == 303
    assert "sunrise\namanecer</textarea>" in office.open(SETTINGS).text.replace("\r", "")
    minutes_later(worker)
    assert [held(services, each) for each in (english, spanish, quiet, loud)] == [
        True, True, False, False,
    ]  # fmt: skip
    office.send(SETTINGS, words="")
    with services.reading.begin() as session:
        walk = identifying_word(group_named(session, "lgbtq"), "A sunrise walk")
    assert walk, "until all are told that it was removed"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("sunrise\nDPS Belong", "Our emails’ sender says “dps belong”"),
        ("x" * 61, "each with at most 60 characters"),
        ("\n".join(f"word{number}" for number in range(201)), "Use at most 200 lines"),
    ],
)
def test_a_list_that_would_keep_back_newsletters_is_not_taken(office, services, typed, said):
    answer = office.send(SETTINGS, words=typed)
    assert answer.status_code == 422
    assert said in answer.text
    with services.reading.begin() as session:
        assert site_words(session) == ()


def test_previews_show_the_postal_line_that_is_set(office, services):
    line = "DPS Belong, 1 Main St, Denver"
    office.send(SETTINGS, postal_address=line)
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "asian"), "Tea", "Come.")
        page = f"/lead/newsletters/{issue.public_id}"
    fields = Form(office.open(page).text).fields
    for kind in ("", "text", "dark"):
        shown = office.press(f"{page}/preview?as={kind}", **fields).text
        assert line in shown
        assert "sample line" not in shown
    group = "/lead/groups/asian/page"
    fields = Form(office.open(group).text).fields
    assert line in office.press(group, **fields, welcome="en").text
    erased = services.renderer.render("erased", "en")
    assert line not in erased.text, "Emails have it once it was announced."
