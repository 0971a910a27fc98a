"""A cookie that was copied before an event is worth nothing after it: no page, and no change."""

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
from belong_mail.accounts.models import Account, BrowserSession, GroupLead
from belong_mail.app import create_app
from belong_mail.core import encryption
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.district import District
from belong_mail.core.services import Services
from belong_mail.groups.models import Group
from belong_mail.worker.loop import Worker
from config import Config
from tests.browser_client import Form, Visitor
from tests.clients import sign_in, sign_in_office, signed_in
from tests.db_dump import kept_of
from tests.servers.smtp import Server
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
        opened = self._browser().open(self.page).status_code
        pressed = self._browser().press(self.button, csrf_token=self.token, **self.typed)
        return opened, pressed.status_code

    def _browser(self) -> Visitor:
        client = self.app.test_client()
        client.set_cookie("belong", self.cookie)
        return Visitor(client)


def copied(app: Flask, browser: Visitor, page: str, button: str, **typed: str) -> Copy:
    token = Form(browser.open("/lead/").text).fields["csrf_token"]
    cookie = browser.client.get_cookie("belong")
    assert cookie is not None
    return Copy(app, cookie.value, token, page, button, typed)


@dataclass
class World:
    app: Flask
    services: Services
    keyring: Keyring
    worker: Worker
    relay: Server
    environment: dict[str, str]
    # The owner of a copied cookie, their other device, and a colleague of the office.
    browser: Visitor
    phone: Visitor
    office: Visitor
    old: Copy

    def account(self, address: str) -> Account:
        key = self.keyring.index.account(address)
        with self.services.reading.begin() as session:
            return session.scalars(select(Account).where(Account.address_index == key)).one()

    def press(self, browser: Visitor, path: str, **fields: Any) -> None:
        assert browser.act(path, **fields).status_code == 303
        self.worker.drain()

    def by_office(self, verb: str, role: str = "") -> None:
        self.press(self.office, f"/office/leads/{self.account(LEAD).public_id}/{verb}", role=role)


@pytest.fixture
def world(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server,
    environment: dict[str, str],
) -> World:  # fmt: skip
    browser = sign_in(app, keyring, VILLAGE, LEAD)
    sign_in(app, keyring, VILLAGE, OTHER)
    phone = signed_in(app, keyring, LEAD)
    office = sign_in_office(app, keyring, OFFICE)
    old = copied(app, browser, PAGE, BEGIN)
    return World(app, services, keyring, worker, relay, environment, browser, phone, office, old)


Event = Callable[[World], AbstractContextManager[Any] | None]


def sign_out(world: World) -> None:
    world.press(world.browser, "/sign-out")


def sign_out_everywhere(world: World) -> None:
    world.press(world.phone, "/sign-out", everywhere="1")


def end_it_on_another_device(world: World) -> None:
    with world.services.reading.begin() as session:
        owned = BrowserSession.account_id == world.account(LEAD).id
        first = session.scalars(select(BrowserSession).where(owned).order_by(BrowserSession.id))
        public_id = next(iter(first)).public_id
    world.press(world.phone, "/account/sessions/end", session=public_id)


def end_all_others_on_another_device(world: World) -> None:
    world.press(world.phone, "/account/sessions/end", others="1")


def have_the_office_end_it(world: World) -> None:
    world.by_office("sign_out")


def remove_the_right(world: World) -> None:
    world.by_office("remove", VILLAGE)


def let_the_right_end(world: World) -> AbstractContextManager[Any]:
    """Come to the end of its year, a few minutes from now."""
    with world.services.writing.begin() as session:
        of_lead = GroupLead.account_id == world.account(LEAD).id
        session.execute(
            update(GroupLead).where(of_lead).values(ends_at=now() + timedelta(minutes=5))
        )
    return time_machine.travel(now() + timedelta(minutes=6))


def end_the_group(world: World) -> AbstractContextManager[Any]:
    with world.services.writing.begin() as session:
        of_group = Group.slug == VILLAGE
        session.execute(update(Group).where(of_group).values(retired_at=now()))
    return nullcontext()


def rest(_world: World) -> AbstractContextManager[Any]:
    return time_machine.travel(now() + timedelta(minutes=31))


@contextmanager
def come_back_for_half_a_day(world: World) -> Iterator[None]:
    """Come back every 25 minutes, so that the cookie is never idle, and copy the last one."""
    begun = now()
    for minutes in range(0, 12 * 60 + 1, 25):
        with time_machine.travel(begun + timedelta(minutes=minutes)):
            assert world.browser.open("/lead/").status_code == 200
    cookie = world.browser.client.get_cookie("belong")
    assert cookie is not None
    world.old.cookie = cookie.value
    with time_machine.travel(begun + timedelta(hours=12, minutes=5)):
        yield


def replace_the_key(world: World) -> None:
    """Start the web with a new key alone; while the old one stands behind it, it still counts."""
    new = encryption.new_keys()["secret"]
    for keys, opened in ((f"{world.environment['BELONG_SECRET_KEYS']},{new}", 200), (new, 302)):
        app = create_app(Config.read({**world.environment, "BELONG_SECRET_KEYS": keys}))
        world.old.app = app
        assert world.old.replay()[0] == opened


def sign_in_by_the_district_from_now_on(world: World) -> None:
    """Link on another device: that one alone stays signed in."""
    with world.services.writing.begin() as session:
        owned = BrowserSession.account_id == world.account(LEAD).id
        found = select(BrowserSession).where(owned).order_by(BrowserSession.id.desc())
        here = session.scalars(found).first()
        assert here is not None
        settings = world.services.settings
        district = District(settings.oidc_issuer, settings.secret_keys)
        account, sealer = world.account(LEAD), world.services.sealer
        signing_in.ask_to_link(session, sealer, district, account, "person-1", here.public_id)
    world.worker.drain()
    assert world.phone.open(PAGE).status_code == 200


EVENTS: list[Event] = [
    sign_out, sign_out_everywhere, end_it_on_another_device, end_all_others_on_another_device,
    have_the_office_end_it, remove_the_right,
    let_the_right_end, end_the_group, rest, come_back_for_half_a_day, replace_the_key,
    sign_in_by_the_district_from_now_on,
]  # fmt: skip
# The session goes on, and has no right to the group any more.
SIGNED_IN_WITHOUT_RIGHT = {let_the_right_end, end_the_group}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_cookie_copied_before_is_worth_nothing_after(world, event):
    assert world.old.replay() == (200, 303), "before it, it opens the page and begins a draft"
    with event(world) or nullcontext():
        before = kept_of(world.services)
        is_in = event in SIGNED_IN_WITHOUT_RIGHT
        assert world.old.replay() == ((404, 404) if is_in else (302, 403))
        assert kept_of(world.services) == before


def remove_the_office(world: World) -> None:
    person = world.account(OFFICE).public_id
    world.press(world.phone, f"/office/leads/{person}/remove", role="office")


def let_the_office_end(world: World) -> AbstractContextManager[Any]:
    with world.services.writing.begin() as session:
        of_office = Account.id == world.account(OFFICE).id
        soon = now() + timedelta(minutes=5)
        session.execute(update(Account).where(of_office).values(office_ends_at=soon))
    return time_machine.travel(now() + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("event", "answered"),
    [
        (remove_the_office, (302, 403)),
        (let_the_office_end, (404, 404)),
    ],
)
def test_a_cookie_of_the_office_is_worth_nothing_after(world, event, answered):
    """A colleague acts; so does time, before the worker has taken the right away."""
    world.phone = sign_in_office(world.app, world.keyring, "colleague@dpsk12.org")
    listed, move = "/office/groups?order=1", "/office/groups/asian/move"
    old = copied(world.app, world.office, listed, move, to="down")
    assert old.replay() == (200, 303)
    with event(world) or nullcontext():
        before = kept_of(world.services)
        assert old.replay() == answered
        assert kept_of(world.services) == before
