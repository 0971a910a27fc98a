"""A lead signs in by a mailed link: the browser that asked, ten minutes, once."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.accounts.models import BrowserSession
from belong_mail.accounts.signing_in import LINK_MAX_AGE
from belong_mail.core import rate_limits
from belong_mail.core.db import now, required
from tests.browser_client import Form, Visitor, link_to
from tests.clients import sign_in, signed_in
from tests.db_dump import dump_of
from tests.markers import on_both

LEAD, OTHER = "lead@dpsk12.org", "other@dpsk12.org"
PAGE = "/account"
ELSEWHERE = "203.0.113.7"
HANDFUL = 6


@pytest.fixture
def scenario(scenario):
    scenario.invite_lead(LEAD)
    return scenario


def browser(app) -> Visitor:
    return Visitor(app.test_client())


def sign_in_by_email(scenario, lead, address: str = LEAD) -> None:
    lead.send("/sign-in", email=address)
    lead.press(link_to(scenario.mails(address)[-1], "sign-in"))
    assert lead.open("/lead/").status_code == 200


@on_both("journeys")
def test_a_lead_signs_in_once_and_out_again(app, scenario):
    """The link ends after ten minutes, to the minute; nothing of the browser is kept."""
    lead = Visitor(app.test_client(), {"User-Agent": "Canary/1.0"})
    assert lead.open("/lead/").location.startswith("/sign-in")
    assert lead.send("/sign-in", email=LEAD).location == "/sign-in/sent"
    [mail] = scenario.mails(LEAD)
    link = link_to(mail, "sign-in")
    for seconds, status in ((9 * 60, 200), (10 * 60 + 30, 404)):
        with time_machine.travel(now() + timedelta(seconds=seconds)):
            assert lead.open(link).status_code == status
    assert ">Sign in</button>" in lead.open(link).text
    assert lead.press(link).location.startswith("/lead/")
    assert "The Village" in lead.open("/lead/").text
    assert lead.press(link).status_code == 404

    assert lead.press("/sign-out").status_code == 400
    lead.act("/sign-out")
    assert lead.open("/lead/").status_code == 302
    assert "Canary" not in str(dump_of(scenario.services))


def test_the_page_says_that_a_session_ended_where_one_did(app, scenario):
    lead, said = sign_in(app, scenario.keyring, "the-village"), "You were signed out"
    assert said not in lead.open("/sign-in").text
    with time_machine.travel(now() + timedelta(minutes=31)):
        assert said in lead.open(lead.open("/lead/").location).text
        assert "Se cerró tu sesión" in lead.open("/sign-in?lang=es").text
        assert said not in browser(app).open("/sign-in").text
    lead.act("/sign-out")
    assert said not in lead.open("/sign-in").text


@pytest.mark.parametrize("settings", [{"BELONG_BASE_URL": "https://localhost"}, {}])
@pytest.mark.parametrize("everywhere", [False, True], ids=["here", "everywhere"])
def test_signing_out_empties_the_browser_where_it_may_be_told_to(everywhere, app, scenario):
    """Signing out leaves nothing but what makes the browser known; "everywhere" takes that too."""
    lead, _other = (sign_in(app, scenario.keyring, "the-village") for _ in range(2))
    answer = lead.choose(lead.open(PAGE).text, "Sign out everywhere" if everywhere else "Sign out")
    is_secure = scenario.services.settings.base_url.startswith("https:")
    cleared = answer.headers.get("Clear-Site-Data", "")
    assert ('"storage"' in cleared) == cleared.startswith('"cache", ') == is_secure
    assert ('"cookies"' in cleared) == (is_secure and everywhere)
    ended = [each for each in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in each]
    names = {each.partition("=")[0] for each in ended}
    assert names == ({"belong", "belong-known"} if everywhere else {"belong"})


def test_the_link_works_only_in_the_browser_that_asked(app, scenario):
    """Not in one that asked for a stranger or for another lead."""
    scenario.invite_lead(OTHER)
    lead, stranger, other = browser(app), browser(app), browser(app)
    lead.send("/sign-in", email=LEAD)
    stranger.send("/sign-in", email="somebody@dpsk12.org")
    other.send("/sign-in", email=OTHER)
    link = link_to(scenario.mails(LEAD)[0], "sign-in")
    assert "another browser" in stranger.open(link).text
    for each in (stranger, other):
        assert each.press(link).status_code == 403
    assert lead.press(link).status_code == 303


@pytest.mark.parametrize(
    ("address", "of", "reached"),
    [
        ("/lead/groups/the-village/meetings", "document", "/lead/groups/the-village/meetings"),
        ("/lead/groups/the-village/meetings", "image", "/lead/"),
        ("/office/", "document", "/lead/"),
    ],
    ids=["page", "picture", "another's home"],
)
def test_signing_in_goes_on_to_the_page_that_was_asked_for(app, scenario, address, of, reached):
    lead = Visitor(app.test_client(), {"Sec-Fetch-Dest": of})
    assert lead.open(address).location == "/sign-in"
    lead.send("/sign-in", email=LEAD)
    link = link_to(scenario.mails(LEAD)[-1], "sign-in")
    assert lead.press(link).location.partition("?")[0] == reached


# Where an account is signed in: listed in words, ended one by one, with a warning of its end.


def rows(scenario) -> list[str]:
    return scenario.query(select(BrowserSession.public_id).order_by(BrowserSession.id))


def test_ones_sessions_are_listed_and_ended_one_by_one_or_all_but_this_one(app, scenario):
    scenario.invite_lead(OTHER)
    elses = signed_in(app, scenario.keyring, OTHER)
    with time_machine.travel(now() - timedelta(hours=13)):
        signed_in(app, scenario.keyring, LEAD)
    phone, here = signed_in(app, scenario.keyring, LEAD), signed_in(app, scenario.keyring, LEAD)
    page = here.open(PAGE).text
    assert page.count("Since ") == 2
    assert page.count("This one, where you are now") == 1
    [other] = [each for each in rows(scenario) if f'value="{each}"' in page]
    assert page.index("This one, where") < page.index(f'value="{other}"'), "the newest first"
    assert here.choose(page, "Sign out there").status_code == 303
    assert phone.open("/lead/").status_code == 302
    others = [signed_in(app, scenario.keyring, LEAD) for _ in range(2)]
    before = len(rows(scenario))
    sign_in_by_email(scenario, here)
    assert len(rows(scenario)) == before, "its session until now has ended"
    here.choose(here.open(PAGE).text, "Sign out everywhere but here")
    assert [each.open("/lead/").status_code for each in others] == [302, 302]
    assert here.open("/lead/").status_code == elses.open("/lead/").status_code == 200


def test_the_page_of_sessions_says_until_when_one_is_signed_in(app, scenario):
    zone = scenario.services.settings.timezone
    with time_machine.travel(now(), tick=False) as clock:
        lead = signed_in(app, scenario.keyring, LEAD)
        begun = now()

        def says(ends: timedelta) -> bool:
            time = f"{(begun + ends).astimezone(zone):%I:%M %p}".lstrip("0")
            return f"You’re signed in until {time}" in lead.open(PAGE).text

        assert says(timedelta(minutes=30))
        clock.shift(timedelta(minutes=20))
        assert says(timedelta(minutes=50)), "opening a page extends it"
        for _ in range(24):
            clock.shift(timedelta(minutes=29))
            assert lead.open("/lead/").status_code == 200
        assert says(timedelta(hours=12)), "and never beyond half a day"


# A stranger who types a lead's address all day keeps them from nothing, and fills no mailbox.


def known_cookie(lead):
    return required(lead.client.get_cookie("belong-known"), LookupError)


def flood(app, scenario, times: int, source: str = "127.0.0.1", *, cookies: bool = False) -> None:
    """Type the lead's address so often; let the worker read it all."""
    client = app.test_client(use_cookies=cookies)
    typed = Form(Visitor(client).open("/sign-in").text).fields | {"email": LEAD}
    for _ in range(times):
        answer = client.post("/sign-in", data=typed, environ_overrides={"REMOTE_ADDR": source})
        assert answer.status_code == 303
    scenario.worker.drain()


def gets_a_link(scenario, lead) -> bool:
    before = len(scenario.mails(LEAD))
    lead.send("/sign-in", email=LEAD)
    return len(scenario.mails(LEAD)) == before + 1


@pytest.mark.parametrize(
    ("source", "cookies"), [(ELSEWHERE, False), ("127.0.0.1", True)], ids=["source", "browser"]
)
def test_a_lead_somewhere_else_gets_a_link_while_one_source_floods(
    app, scenario, source, *, cookies
):
    """Or one browser, whose cookies stay, in the same building."""
    flood(app, scenario, 12, source, cookies=cookies)
    assert gets_a_link(scenario, browser(app))


def test_refused_requests_lengthen_nobodys_wait(app, scenario):
    """Two hundred forms made a lead wait for 39 hours, forty for eight."""
    flood(app, scenario, 40)
    with time_machine.travel(now() + timedelta(minutes=16)):
        assert gets_a_link(scenario, browser(app))


def test_a_browser_in_which_a_lead_has_signed_in_gets_its_link_during_a_flood(app, scenario):
    """Neither a lead's own browser for another's address, nor a forged cookie does."""
    scenario.invite_lead(OTHER)
    lead, other, forger = browser(app), browser(app), browser(app)
    sign_in_by_email(scenario, lead)
    sign_in_by_email(scenario, other, OTHER)
    lead.act("/sign-out")
    flood(app, scenario, 12)
    for number in range(8):
        flood(app, scenario, 3, f"203.0.113.{number}")
    assert not gets_a_link(scenario, browser(app))
    assert not gets_a_link(scenario, other)
    known = known_cookie(lead).value
    for bent in (known[:-2] + "xx", "x" + known, "x", "x" * 3000):
        forger.client.set_cookie("belong-known", bent)
        assert not gets_a_link(scenario, forger)
    assert gets_a_link(scenario, lead)
    assert lead.press(link_to(scenario.mails(LEAD)[-1], "sign-in")).status_code == 303


def test_every_sign_in_rate_allows_a_new_link_before_the_last_one_expires():
    for rate in (
        rate_limits.SIGN_IN_BROWSER_RATE,
        rate_limits.SIGN_IN_SOURCE_RATE,
        rate_limits.SIGN_IN_STRANGERS_RATE,
        rate_limits.SIGN_IN_KNOWN_BROWSER_RATE,
        rate_limits.SIGN_IN_KNOWN_BROWSERS_RATE,
    ):
        assert rate.per / rate.burst <= LINK_MAX_AGE


def test_a_lead_signs_in_at_any_hour_of_a_day_of_flooding_from_everywhere(app, scenario):
    """In a browser of which nothing is known: by a link of its own, or the newest one."""
    begun = now()
    for step in range(0, 24 * 60, 155):
        with time_machine.travel(begun + timedelta(minutes=step)):
            for number in range(8):
                flood(app, scenario, 2, f"203.0.113.{number}")
        with time_machine.travel(begun + timedelta(minutes=step, seconds=20)):
            lead = browser(app)
            gets_a_link(scenario, lead)
            link = link_to(scenario.mails(LEAD)[-1], "sign-in")
            assert lead.press(link).status_code == 303
            assert lead.open("/lead/").status_code == 200


def test_a_link_serves_nobody_who_asked_before_its_time(app, scenario):
    early = browser(app)
    early.send("/sign-in", email=LEAD)
    scenario.worker.drain()
    with time_machine.travel(now() + timedelta(minutes=12)):
        browser(app).send("/sign-in", email=LEAD)
        link = link_to(scenario.mails(LEAD)[-1], "sign-in")
        assert early.press(link).status_code == 403


@pytest.mark.parametrize("sources", [1, 24])
def test_a_flooded_lead_gets_a_handful_of_mails_an_hour(sources, app, scenario):
    begun = now()
    for step in range(24):
        with time_machine.travel(begun + timedelta(minutes=15 * step)):
            flood(app, scenario, 3, f"203.0.113.{step % sources}")
    hours = 24 / 4
    assert HANDFUL <= len(scenario.relay.to(LEAD)) <= HANDFUL * (hours + 1)


def test_the_known_browser_cookie_names_nobody_and_does_not_change_the_answer(app, scenario):
    lead, stranger = browser(app), browser(app)
    sign_in_by_email(scenario, lead)
    cookie = known_cookie(lead)
    assert (cookie.http_only, cookie.same_site) == (True, "Lax")
    assert cookie.max_age == 400 * 24 * 3600
    assert scenario.account(LEAD).public_id not in cookie.value
    assert "lead" not in cookie.value
    answers = []
    for each, address in ((lead, LEAD), (lead, "nobody@dpsk12.org"), (stranger, LEAD)):
        answer = each.send("/sign-in", email=address)
        answers.append((answer.status_code, answer.location, answer.data))
    assert len(set(answers)) == 1
