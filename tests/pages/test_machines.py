"""Addresses that programs ask a site for: robots.txt, security.txt (RFC 9116), an icon."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def fields(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines())


@pytest.mark.parametrize("at", [datetime(2026, 11, 24, 19, tzinfo=UTC), datetime(2031, 1, 1)])  # noqa: DTZ001
def test_whoever_found_a_hole_finds_whom_to_tell(visitor, at):
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


def test_the_public_pages_may_be_found_and_a_leads_may_not(visitor):
    answer = visitor.open("/robots.txt")
    assert answer.mimetype == "text/plain"
    assert fields(answer.text) == {"User-agent": "*", "Disallow": "/lead/"}
    assert "noindex" not in visitor.open("/").text


def test_the_icon_is_found_where_browsers_look_for_it(visitor):
    answer = visitor.open("/favicon.ico")
    assert (answer.status_code, answer.location) == (308, "/static/logo.svg")
    assert visitor.client.get(answer.location, buffered=True).mimetype == "image/svg+xml"
