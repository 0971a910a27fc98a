"""One site with two groups: who tries the rights, and on what of each."""

import io
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.contact import threads
from belong_mail.core.db import new_public_id, now
from belong_mail.core.tokens import Purpose
from belong_mail.newsletters import approval
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Approval
from belong_mail.office.groups import add_question
from belong_mail.web.access import Access
from tests import crawl
from tests.browser_client import Form, Visitor
from tests.clients import sign_in, sign_in_office
from tests.db_dump import Dump, kept_of
from tests.factories import group_named, plan_meeting, queue_issue
from tests.leads.forms import FORMS
from tests.newsletters.flyers.samples import flyer
from tests.newsletters.pictures.samples import picture
from tests.web.rights.table import KEYS, Answer, Role, Route

PICTURE, FLYER = picture(), flyer()
CODE = threads.new_code()
OWN, OTHER, UPCOMING = "the-village", "asian", "autoimmune"
MONITORING = "a-token-of-the-monitoring-long-enough"
# Every page is there: those of the district too, whose provider does not answer.
SETTINGS = {
    "BELONG_OIDC_ISSUER": "http://127.0.0.1:9",
    "BELONG_OIDC_CLIENT_ID": "belong",
    "BELONG_OIDC_CLIENT_SECRET": "a-secret-of-the-district",
    "BELONG_METRICS_TOKEN": MONITORING,
}
# Parts of addresses that have a group, and are there for its leaders alone.
OF_A_GROUP = {
    "slug", "public_id", "picture_id", "flyer_id", "meeting_id", "question_id",
}  # fmt: skip
# Parts of an address that name nothing, where these are no words.
NOTHING: dict[str, object] = {
    "number": 99_998,
    "day": date(2026, 1, 1),
    "question_id": 999_999,
}
NOBODYS = new_public_id()
# Pages that are shown whatever they name: no page of its own depends on it.
ANYTHING = {"asked", "_button", "press"}
# Pages about newsletters that have left, and about those that wait for approval.
OF_SENT = {"releases.act pause", "releases.act resume", "releases.act stop", "releases.sending",
           "releases.read", "editor.duplicate"}  # fmt: skip
OF_ASKED = {"approvals.approve", "approvals.decline"}
# Values to type or choose beside those of a page's form.
BODIES: dict[str, dict[str, Any]] = {
    **FORMS,
    "subscriptions.act": {"remind": "yes"},
    "subscriptions.not_me": {"choice": "never"},
    "subscriptions.one_click": {"List-Unsubscribe": "One-Click"},
    "self_service.act": {"remind": "yes"},
    "account.set_language": {"language": "es"},
    "office_groups.move": {"to": "up"},
    "office_health.act undo": {"days": "7"},
    "people.do": {"role": OWN},
    "address_change.ask_new_address": {"email": "moved.again@dpsk12.org"},
    "subscriptions.join": {"email": "new@dpsk12.org"},
    "personal_address.ask_code": {"email": "new@dpsk12.org"},
    "personal_address.join_with_code": {"email": "new@home.example", "code": crawl.STAFF_CODE},
    "waiting_list.ask": {"email": "new@dpsk12.org"},
    "sign_in.accept": {"name": "New"},
    "sign_in.confirm": {"name": "New"},
    "sign_in.ask": {"email": "new@dpsk12.org"},
    "self_service.ask": {"email": "new@dpsk12.org"},
    "contact.answer": {"code": CODE},
    "contact.write": {"message": "Where is the ramp?", "topic": "need"},
}
# Buttons whose form stands on another page than the one they lead to.
FORM_PAGES = dict.fromkeys(("passkey.begin", "passkey.finish"), "/sign-in")
# Counts of who asks how often; they grow with every form and say nothing else.
TECHNICAL = {"limits", "worker_limits"}
MEMBERSHIP = re.compile(r'name="membership" value="([^"]+)"')
TOKEN = re.compile(r'(name="csrf_token"[^>]*value=")[^"]*')


@dataclass(frozen=True)
class Objects:
    """A group's objects, by the parts of addresses; its newsletters by where they stand."""

    named: dict[str, object]
    sent: dict[str, object]
    asked: dict[str, object]

    def of(self, route: Route) -> dict[str, object]:
        is_sent = route.endpoint in OF_SENT or route.address.startswith("/office")
        now_standing = self.sent if is_sent else self.asked if route.endpoint in OF_ASKED else {}
        waits = {"slug": UPCOMING} if route.endpoint == "waiting_list.ask" else {}
        return {**self.named, **now_standing, **waits}


@dataclass
class Actor:
    """Somebody with a browser, and the cookie with which they began."""

    role: Role
    browser: Visitor
    token: str = ""
    cookie: str = ""
    # Answers about objects that do not exist.
    heard: dict[tuple[str, str], str] = field(default_factory=dict)

    def remember(self) -> None:
        self.token = Form(self.browser.open("/lead/").text).fields["csrf_token"]
        self.cookie = self.browser.client.get_cookie("belong").value

    def come_back(self) -> None:
        if self.cookie:
            self.browser.client.set_cookie("belong", self.cookie)

    def send(self, route: Route, path: str, body: dict[str, Any]) -> TestResponse:
        if route.endpoint == "operating.metrics" and self.role is Role.LINK:
            self.browser.headers = {"Authorization": f"Bearer {MONITORING}"}
        if route.endpoint == "pictures.add" and body:
            body = {**body, "picture": (io.BytesIO(PICTURE), "tea.png")}
        if route.endpoint == "flyers.add" and body:
            body = {**body, "flyer": (io.BytesIO(FLYER), "tea.pdf")}
        if route.endpoint == "office_imports.add" and body:
            body = {**body, "file": (io.BytesIO(b"ada@dpsk12.org"), "list.csv")}
        if route.method == "GET":
            answer = self.browser.open(path)
        else:
            own = {} if Access.PUBLIC in route.marks else {"csrf_token": self.token}
            answer = self.browser.press(path, **{**body, **own})
        self.browser.headers = {}
        answer.get_data()
        answer.close()
        return answer


@dataclass(frozen=True)
class Site:
    app: Flask
    actors: dict[Role, Actor]
    own: Objects
    other: Objects
    links: dict[str, str]
    # Fields of forms that name one thing of this site, by blueprint.
    typed: dict[str, dict[str, Any]]
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, route: Route, objects: Objects) -> dict[str, object]:
        """Return what a route names of a group; links are those that were emailed."""
        link = self.links.get(route.address.split("/")[1], "")
        key = crawl.bare(link).split("/")[2] if link else ""
        return {part: key if part in KEYS else objects.of(route)[part] for part in route.parts}

    def refused(self, route: Route, role: Role) -> list[dict[str, object]]:
        """List what a route names that a role must not have: all of it, or what is not theirs."""
        nothing = {
            part: self.own.named[part] if part in ANYTHING else NOTHING.get(part, NOBODYS)
            for part in route.parts
        }
        if route.answer(role) in {Answer.YES, Answer.LOOKS}:
            return self.strange(route)
        if Access.PUBLIC in route.marks:
            return [nothing]
        own = self.of(route, self.own)
        return [own, nothing] if route.parts else [own]

    def strange(self, route: Route) -> list[dict[str, object]]:
        """List what is not there for whoever has their own: another's, nobody's, and mixed."""
        own, other = self.of(route, self.own), self.of(route, self.other)
        shown = ANYTHING if route.needs_key else ANYTHING | KEYS
        tried = [
            {**own, part: NOTHING.get(part, NOBODYS)} for part in route.parts if part not in shown
        ]
        shared = [part for part in route.parts if part in OF_A_GROUP]
        if Access.LEADS in route.marks:
            mixed = [{**own, part: other[part]} for part in shared] if len(shared) > 1 else []
            tried += [*mixed, {**own, **other}]
        else:
            files = {"picture_id", "flyer_id"}.intersection(shared)
            tried += [{**own, part: other[part]} for part in files]
        if route.address.startswith("/office") and "public_id" in shared:
            draft = self.own.named
            tried.append({**own, **{part: draft[part] for part in shared}})
        return tried

    def body_of(self, route: Route) -> dict[str, Any]:
        """Return what would be sent by whoever may: what the form has, and something typed."""
        if route.method == "POST" and route.endpoint not in self.bodies:
            allowed = next(each for each in Role if route.answer(each) is Answer.YES)
            own = route.path(self.of(route, self.own)).removesuffix("/save")
            page = self.actors[allowed].browser.open(FORM_PAGES.get(route.endpoint, own))
            filled = Form(page.text).fields if page.mimetype == "text/html" else {}
            if Access.PUBLIC not in route.marks:
                filled.pop("csrf_token", None)
            for file in ("picture", "flyer"):
                filled.pop(file, None)
            typed = self.typed.get(route.endpoint.split(".")[0], {})
            self.bodies[route.endpoint] = {**filled, **typed, **BODIES.get(route.endpoint, {})}
        return self.bodies.get(route.endpoint, {}) if route.method == "POST" else {}


def make_site(app, scenario) -> Site:
    """Build it: two groups with one of everything, everybody signed in, every link emailed."""
    stranger, services, keyring = scenario.visitor, scenario.services, scenario.keyring
    links = crawl.mailed_links(scenario)
    with services.writing.begin() as session:
        group = group_named(session, OWN)
        invitations.invite(session, keyring, group, "person@dpsk12.org")
    seats = {
        Role.LEAD: sign_in(app, keyring, OWN, "lead@dpsk12.org"),
        Role.SECOND_LEAD: sign_in(app, keyring, OWN, "two@dpsk12.org"),
        Role.OTHER_LEAD: sign_in(app, keyring, OTHER, "else@dpsk12.org"),
        Role.OFFICE: sign_in_office(app, keyring),
    }
    actors = {role: Actor(role, browser) for role, browser in seats.items()}
    for actor in actors.values():
        actor.remember()
    with_link = Visitor(app.test_client())
    assert with_link.open(links["my-groups"]).status_code == 200
    actors |= {
        Role.STRANGER: Actor(Role.STRANGER, stranger),
        Role.LINK: Actor(Role.LINK, with_link),
    }
    with services.writing.begin() as session:
        lead = account_of(session, keyring, "lead@dpsk12.org")
        person = account_of(session, keyring, "person@dpsk12.org")
        own, other = (make_objects(session, services, slug, lead) for slug in (OWN, OTHER))
        for each in (own, other):
            each.named["account_id"] = person.public_id
        waits = session.scalars(select(Approval)).one()
        typed = {"approvals": {"seen": waits.digest.hex()}, "account": {"others": "1"}}
    [membership] = set(MEMBERSHIP.findall(stranger.open(links["my-groups"]).text))
    typed["self_service"] = {"membership": membership}
    return Site(app, actors, own, other, links, typed)


def content(services) -> Dump:
    return {table: rows for table, rows in kept_of(services).items() if table not in TECHNICAL}


def account_of(session, keyring, address: str) -> Account:
    found = select(Account).where(Account.address_index == keyring.index.account(address))
    return session.scalars(found).one()


def make_objects(session, services, slug: str, lead: Account) -> Objects:
    group = group_named(session, slug)
    draft, sent = newsletters.draft(session, group, "Tea", "Come."), queue_issue(session, slug)
    newsletters.plan(session, sent)
    asked = newsletters.draft(session, group, "Cake", "Come too.")
    if slug == OWN:
        approval.ask(session, asked, lead, None, 10)
    meeting = plan_meeting(session, slug)
    question = add_question(session, group, "text", {"en": "Which snack?"}, [])
    named = {
        "slug": slug,
        "number": group.id,
        "meeting_id": meeting.public_id,
        "day": meeting.starts_on.isoformat(),
        "question_id": question.id,
        "verb": "sign_out",
        "_button": "leave",
        "press": "remind",
        "reference": crawl.begin_thread(session, services, CODE if slug == OWN else ""),
        "month": f"{meeting.starts_on:%Y-%m}",
        "filename": "belong.css",
        "asked": services.tokens.sign(Purpose.CHECK_INBOX, group.public_id, now()),
    }
    return Objects(
        {**named, **crawl.with_files(session, draft)},
        crawl.with_files(session, sent),
        {"public_id": asked.public_id},
    )
