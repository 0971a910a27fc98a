"""A cookie that was copied before an event is worth nothing after it: no page, and no change."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from belong_mail.accounts import signing_in
from belong_mail.accounts.models import Account, BrowserSession, Right
from belong_mail.app import create_app
from belong_mail.core import encryption
from belong_mail.core.db import now, required
from belong_mail.groups.models import Group
from config import Config
from tests.browser_client import Form, Visitor, link_to
from tests.clients import sign_in, sign_in_office, signed_in
from tests.db_dump import kept_of
from tests.scenario import Scenario
from tests.web.rights.site import SETTINGS

VILLAGE = "the-village"
LEAD, OTHER, OFFICE = "lead@dpsk12.org", "other@dpsk12.org", "office@dpsk12.org"
PAGE, BEGIN = f"/lead/groups/{VILLAGE}/page", f"/lead/groups/{VILLAGE}/newsletters"
pytestmark = [
    pytest.mark.parametrize("settings", [SETTINGS]),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


@dataclass
class Copy:
    """A cookie that somebody copied, with a page and a button that it opened then."""

    app: Flask
    cookie: str
    token: str
    page: str
    button: str
    typed: dict[str, str]

    def replay(self) -> tuple[int, int]:
        """Ask for the page and press the button with the cookie; say what was answered."""
        opened = self.browser().open(self.page).status_code
        pressed = self.browser().press(self.button, csrf_token=self.token, **self.typed)
        return opened, pressed.status_code

    def browser(self) -> Visitor:
        client = self.app.test_client()
        client.set_cookie("belong", self.cookie)
        return Visitor(client)


def copied(app, browser: Visitor, page: str, button: str, **typed: str) -> Copy:
    token = Form(browser.open("/lead/").text).fields["csrf_token"]
    return Copy(app, cookie_of(browser), token, page, button, typed)


def cookie_of(browser: Visitor) -> str:
    return browser.client.get_cookie("belong").value


@dataclass
class World:
    scenario: Scenario
    environment: dict[str, str]
    # The owner of a copied cookie, their other device, and a colleague of the office.
    browser: Visitor
    phone: Visitor
    office: Visitor
    old: Copy

    def account(self, address: str) -> Account:
        return required(self.scenario.account(address), LookupError)

    def newest_session(self) -> BrowserSession:
        owned = BrowserSession.account_id == self.account(LEAD).id
        found = select(BrowserSession).where(owned).order_by(BrowserSession.id.desc())
        with self.scenario.services.reading.begin() as session:
            return required(session.scalars(found).first(), LookupError)

    def press(self, browser: Visitor, path: str, **fields: Any) -> None:
        assert browser.act(path, **fields).status_code == 303
        self.scenario.worker.drain()

    def ask_to_sign_in(self) -> str:
        self.browser.send("/sign-in", email=LEAD)
        return link_to(self.scenario.mails(LEAD)[-1], "sign-in")

    def by_office(self, verb: str, role: str = "") -> None:
        self.press(self.office, f"/office/leads/{self.account(LEAD).public_id}/{verb}", role=role)


@pytest.fixture
def world(app, scenario, environment) -> World:
    keyring = scenario.keyring
    browser = sign_in(app, keyring, VILLAGE, LEAD)
    sign_in(app, keyring, VILLAGE, OTHER)
    phone, office = signed_in(app, keyring, LEAD), sign_in_office(app, keyring, OFFICE)
    return World(scenario, environment, browser, phone, office, copied(app, browser, PAGE, BEGIN))


def end_it_on_another_device(world) -> None:
    page = world.phone.open("/account").text
    [first] = set(re.findall(r'name="session" value="([^"]+)"', page))
    world.press(world.phone, "/account/sessions/end", session=first)


def let_the_right_end(world) -> AbstractContextManager[Any]:
    """Come to the end of its year, a few minutes from now."""
    of_lead = Right.account_id == world.account(LEAD).id
    soon = now() + timedelta(minutes=5)
    world.scenario.execute(update(Right).where(of_lead).values(ends_at=soon))
    return time_machine.travel(now() + timedelta(minutes=6))


@contextmanager
def come_back_for_half_a_day(world) -> Iterator[None]:
    """Come back every 25 minutes, so that the cookie is never idle, and copy the last one."""
    begun = now()
    for minutes in range(0, 12 * 60 + 1, 25):
        with time_machine.travel(begun + timedelta(minutes=minutes)):
            assert world.browser.open("/lead/").status_code == 200
    world.old.cookie = cookie_of(world.browser)
    with time_machine.travel(begun + timedelta(hours=12, minutes=5)):
        yield


def replace_the_key(world) -> None:
    """Start the web with a new key alone; while the old one stands behind it, it still counts."""
    new = encryption.new_keys()["secret"]
    for keys, opened in ((f"{world.environment['BELONG_SECRET_KEYS']},{new}", 200), (new, 302)):
        app = create_app(Config.read({**world.environment, "BELONG_SECRET_KEYS": keys}))
        world.old.app = app
        assert world.old.replay()[0] == opened


def sign_in_by_the_district_from_now_on(world) -> None:
    """Link on another device: that one alone stays signed in."""
    services, here = world.scenario.services, world.newest_session()
    with services.writing.begin() as session:
        account, own = world.account(LEAD), (services.sealer, services.settings)
        signing_in.ask_to_link(session, *own, account, "person-1", here.public_id)
    world.scenario.worker.drain()
    assert world.phone.open(PAGE).status_code == 200


def sign_in_again(world) -> None:
    link = world.ask_to_sign_in()
    assert world.browser.press(link).status_code == 303
    assert world.browser.press(link).status_code == 404
    assert world.browser.open(PAGE).status_code == 200


@contextmanager
def sign_in_after_a_rest(world) -> Iterator[None]:
    """Meanwhile the copy is kept awake."""
    begun, thief = now(), world.old.browser()
    with time_machine.travel(begun + timedelta(minutes=20)):
        assert thief.open(PAGE).status_code == 200
    with time_machine.travel(begun + timedelta(minutes=40)):
        world.old.cookie = cookie_of(thief)
        assert world.old.replay()[0] == 200
        world.browser.press(world.ask_to_sign_in())
        yield


EVENTS: dict[str, Callable[[World], AbstractContextManager[Any] | None]] = {
    "sign out": lambda world: world.press(world.browser, "/sign-out"),
    "sign out everywhere": lambda world: world.press(world.phone, "/sign-out", everywhere="1"),
    "end it on another device": end_it_on_another_device,
    "end all others": lambda world: world.press(world.phone, "/account/sessions/end", others="1"),
    "have the office end it": lambda world: world.by_office("sign_out"),
    "remove the right": lambda world: world.by_office("remove", VILLAGE),
    "let the right end": let_the_right_end,
    "end the group": lambda world: world.scenario.execute(
        update(Group).where(Group.slug == VILLAGE).values(retired_at=now())
    ),
    "rest for half an hour": lambda _world: time_machine.travel(now() + timedelta(minutes=31)),
    "come back for half a day": come_back_for_half_a_day,
    "replace the key": replace_the_key,
    "sign in again": sign_in_again,
    "sign in again after a rest": sign_in_after_a_rest,
    "sign in by the district from now on": sign_in_by_the_district_from_now_on,
}
# The session goes on, and has no right to the group any more.
SIGNED_IN_WITHOUT_RIGHT = {"let the right end", "end the group"}


@pytest.mark.parametrize("event", EVENTS)
def test_a_cookie_copied_before_is_worth_nothing_after(world, event):
    assert world.old.replay() == (200, 303), "before it, it opens the page and begins a draft"
    with EVENTS[event](world) or nullcontext():
        before = kept_of(world.scenario.services)
        is_in = event in SIGNED_IN_WITHOUT_RIGHT
        assert world.old.replay() == ((404, 404) if is_in else (302, 403))
        assert kept_of(world.scenario.services) == before
