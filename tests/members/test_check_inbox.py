"""After the form: when another email can come, the same for everyone, and the way back."""

import re
from datetime import timedelta

import pytest
import time_machine

from belong_mail.core import i18n, rate_limits
from belong_mail.core.db import now
from belong_mail.core.rate_limits import TRUSTED_SOURCE_RATE
from belong_mail.core.tokens import Purpose
from tests.browser_client import read
from tests.scenario import ADA, VILLAGE

JOIN = f'href="/groups/{VILLAGE}/join'
GROUP_PAGE = f'href="/groups/{VILLAGE}'


def clock(scenario, after: timedelta, language: str = "en") -> str:
    local = (now() + after).astimezone(scenario.services.settings.timezone)
    return read(i18n.format_clock(local.time(), language))


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_says_when_another_email_can_come_and_leads_back(scenario, language):
    with time_machine.travel(now(), tick=False):
        answer = scenario.visitor.send(f"/groups/{VILLAGE}/join?lang={language}", email=ADA)
        page = scenario.visitor.open(answer.location).text
        assert clock(scenario, timedelta(minutes=15), language) in page
        other = "es" if language == "en" else "en"
        [switch] = re.findall(rf'href="(/check-your-inbox/[^"]+lang={other})"', page)
        assert clock(scenario, timedelta(minutes=15), other) in scenario.visitor.open(switch).text
    assert ".." not in page.partition("<main")[2], "“p. m.” ends no sentence"
    assert page.count(GROUP_PAGE) >= 3
    assert JOIN in page
    said = {"en": ("spam", "Search your email for “DPS Belong,”"), "es": ("spam", "“DPS Belong”")}
    for words in said[language]:
        assert words in page
    assert VILLAGE not in answer.location


def test_the_next_email_leaves_at_the_time_on_the_page_and_no_sooner(scenario):
    with time_machine.travel(now(), tick=False) as clock_now:
        place = scenario.visitor.join(VILLAGE, ADA).location
        page = scenario.visitor.open(place).text
        assert "You can get another email now" not in page
        [mail] = scenario.mails()
        assert f"<dd>{mail['Subject']}</dd>" in page, "what to look for"
        clock_now.shift(timedelta(minutes=14))
        scenario.visitor.join(VILLAGE, ADA)
        assert len(scenario.mails()) == 1
        clock_now.shift(timedelta(minutes=2))
        assert len(scenario.mails()) == 2
        page = scenario.visitor.open(place).text
    assert "You can get another email now" in page
    assert JOIN in page


def test_the_page_says_when_a_form_that_was_put_off_is_answered(scenario):
    scenario.visitor.join(VILLAGE, ADA)
    with scenario.services.writing.begin() as session:
        for row in session.query(rate_limits.Limit):
            row.used_until = (now() + TRUSTED_SOURCE_RATE.per).timestamp() + 300
    page = scenario.visitor.open(scenario.visitor.join(VILLAGE, ADA).location).text
    assert "Your email will be sent around" in page


def test_without_its_name_the_page_still_helps(scenario):
    foreign = scenario.services.tokens.sign(Purpose.FORM, "left", now())
    with time_machine.travel(now() - timedelta(hours=49)):
        old = scenario.visitor.join(VILLAGE, ADA).location
    for path in ("/check-your-inbox", f"/check-your-inbox/{foreign}", "/check-your-inbox/x", old):
        page = scenario.visitor.open(path)
        assert page.status_code == 200, path
        assert "Now check your inbox" in page.text
        assert "Village" not in page.text
