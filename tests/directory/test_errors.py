"""Errors help: they say what happened, what was not lost, where to go and when to come back."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from tests.directory.test_directory import ESTABLISHED, UPCOMING
from tests.people import Visitor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)


def raises(app: Flask, error: Exception) -> None:
    """Have every page fail."""

    @app.before_request
    def fail() -> None:
        raise error


@pytest.mark.parametrize("path", ["/nowhere", "/groups/NOWHERE", "/confirm/x", "/leave/x"])
def test_what_is_not_here_shows_the_groups_that_are(visitor: Visitor, path: str) -> None:
    for language in ("en", "es"):
        answer = visitor.open(f"{path}?lang={language}")
        assert answer.status_code == 404
        shown = re.findall(r'href="/groups/([a-z-]+)\?lang', answer.text)
        assert set(shown) == ESTABLISHED.keys() | UPCOMING.keys()
        assert f'lang="{language}"' in answer.text


@pytest.mark.parametrize(
    "after", [90, NOON + timedelta(seconds=90)], ids=["after seconds", "at a time"]
)
@pytest.mark.parametrize(
    ("language", "time"),
    [("en", "Tuesday, November 24, 2026, 12:01 PM"), ("es", "martes, 24 de noviembre de 2026")],
)
def test_too_many_requests_say_when_to_come_back(
    app: Flask, visitor: Visitor, after: int | datetime, language: str, time: str
) -> None:
    raises(app, TooManyRequests(retry_after=after))
    with time_machine.travel(NOON, tick=False):
        answer = visitor.open(f"/contact?lang={language}")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "90"
    assert time in " ".join(answer.text.split())


def test_too_many_requests_of_which_nobody_knows_more_name_a_time_too(
    app: Flask, visitor: Visitor
) -> None:
    raises(app, TooManyRequests())
    assert int(visitor.open("/contact").headers["Retry-After"]) in range(100, 130)


def test_a_pause_of_ours_says_that_nothing_was_lost_and_how_to_send_again(
    app: Flask, visitor: Visitor
) -> None:
    raises(app, ServiceUnavailable())
    read, sent = visitor.open("/contact"), visitor.press("/contact", message="Hello")
    for answer in (read, sent):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Nothing was stored." in answer.text
    assert "Nothing was lost either." in read.text
    assert "What you typed is not lost: load this page again" in sent.text
    assert "Hello" not in sent.text
