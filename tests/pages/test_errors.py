"""Errors help: they say what happened, what was not lost, where to go and when to come back."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import request
from werkzeug.exceptions import TooManyRequests

from belong_mail.groups.seeds import GROUPS
from tests.office.conftest import office

__all__ = ["office"]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)


def raises(app, error: Exception) -> None:

    @app.before_request
    def fail():
        raise error


SECRET = "ada@dpsk12.org"


def fail(*_given: object):
    raise ValueError(f"{SECRET} is not right: {request.path}")


@pytest.mark.parametrize("when", ["before", "after", "twice"])
def test_an_error_is_logged_by_its_type_and_lines_without_a_value_or_the_url(
    app, visitor, caplog, when
):
    if when != "after":
        app.before_request(fail)
    if when != "before":
        app.after_request(fail)
    answer = visitor.open("/my-groups/s3cret?lang=es")
    assert answer.status_code == 500
    assert when == "twice" or "Algo falló de nuestro lado" in answer.text
    for told in ("ValueError", "self_service.manage", "test_errors:"):
        assert told in caplog.text, told
    levels = [each.levelname for each in caplog.records if each.getMessage() == "request failed"]
    assert when != "before" or levels == ["ERROR"]
    for kept in (SECRET, "s3cret", "Traceback", "is not right"):
        assert kept not in caplog.text, kept


def test_a_page_that_is_not_found_shows_the_groups_that_exist(visitor):
    odd = ("NOWHERE", "ASIAN", "asian%00", "%2e%2e", "a" * 5000, "%ff", "'--")
    for path in ("/nowhere", "/confirm/x", *(f"/groups/{slug}" for slug in odd)):
        for language in ("en", "es"):
            answer = visitor.open(f"{path}?lang={language}")
            assert answer.status_code == 404, path
            shown = re.findall(r'href="/groups/([a-z-]+)\?lang', answer.text)
            assert {*shown} - {path.rpartition("/")[2]} == {each["slug"] for each in GROUPS}
            assert f'lang="{language}"' in answer.text
            assert answer.headers["Content-Language"] == language


def test_a_missing_page_of_leaders_or_office_leads_back_to_the_readers_own_start(
    visitor, lead, office
):
    for who, path, start in (
        (lead, "/lead/groups/nowhere/page", 'href="/lead/"'),
        (lead, "/office", 'href="/lead/"'),
        (office, "/office/groups/nowhere", 'href="/office">Today'),
        (visitor, "/account/nowhere", 'href="/lead/"'),
    ):
        answer = who.open(path)
        assert answer.status_code == 404, path
        said = answer.text.partition("<main")[2].partition("</main>")[0]
        assert re.findall(r'class="button[^>]*(href="[^"]*".*?)</a>', said)[0].startswith(start)
        assert "/groups/asian" not in said
        assert ("Sign out" in answer.text) is (who is not visitor)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/confirm/x", "Choose your group and fill in the form again"),
        ("/confirm-mailbox/x", "Enter the inbox again on your group’s page"),
        ("/forget-note/x", "also has a new link to cancel a notification"),
        ("/invitation/x", "Invitations work for 7 days"),
        ("/leave/x", "On “My groups” you can leave a group"),
        ("/not-me/x", "You don’t need to do anything"),
        ("/sign-in/x", "Ask for a new link"),
    ],
)
def test_a_damaged_link_tells_its_intended_reader_how_to_go_on(path, words, visitor):
    assert words in visitor.open(path).text


@pytest.mark.parametrize(
    ("language", "time"),
    [("en", "Try again in 2 minutes (12:01 PM)"), ("es", "en 2 minutos (12:01 p. m.)")],
)
def test_too_many_requests_say_when_to_come_back(app, visitor, language, time):
    raises(app, TooManyRequests(retry_after=NOON + timedelta(seconds=90)))
    with time_machine.travel(NOON, tick=False):
        answer = visitor.open(f"/contact?lang={language}")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "90"
    assert time in " ".join(answer.text.split())


def test_a_link_or_button_that_cannot_be_used_says_so_in_plain_words(visitor):
    answer = visitor.press("/privacy")
    assert answer.status_code == 405
    assert "<h1>Something went wrong with that link or button</h1>" in answer.text
    assert "Ese enlace o botón no funcionó" in visitor.press("/privacy?lang=es").text


def test_the_summary_of_errors_takes_the_focus_without_a_script(visitor):
    for path in ("/contact", "/groups/asian/join", "/sign-in", "/my-groups"):
        answer = visitor.send(path, email="nobody")
        assert answer.status_code == 422
        [summary] = re.findall(r'<div class="problem"[^>]*>', answer.text)
        assert 'tabindex="-1"' in summary
        assert " autofocus" in summary
        assert 'aria-labelledby="problem"' in summary
        assert answer.text.count("autofocus") == 1
        assert "<title>Problem: " in answer.text


# Addresses that programs ask a site for: robots.txt, security.txt (RFC 9116), an icon.


def fields(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines())


@pytest.mark.parametrize("at", [datetime(2026, 11, 24, 19, tzinfo=UTC), datetime(2031, 1, 1)])  # noqa: DTZ001
def test_security_txt_says_where_to_report_a_vulnerability(visitor, at):
    with time_machine.travel(at, tick=False):
        answer = visitor.open("/.well-known/security.txt?lang=es")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    said = fields(answer.text)
    assert said["Contact"] == "http://localhost:5000/contact"
    assert said["Canonical"] == "http://localhost:5000/.well-known/security.txt"
    assert said["Preferred-Languages"] == "en, es"
    left = datetime.fromisoformat(said["Expires"]) - at.replace(tzinfo=UTC)
    assert timedelta(days=90) < left < timedelta(days=365)
    assert visitor.open("/contact").status_code == 200


def test_the_public_pages_and_the_icon_may_be_found_and_a_leads_pages_may_not(visitor):
    answer = visitor.open("/robots.txt")
    assert answer.mimetype == "text/plain"
    assert fields(answer.text) == {"User-agent": "*", "Disallow": "/lead/"}
    assert "noindex" not in visitor.open("/").text
    answer = visitor.open("/favicon.ico")
    assert (answer.status_code, answer.location) == (308, "/static/logo.svg")
    assert visitor.client.get(answer.location, buffered=True).mimetype == "image/svg+xml"
