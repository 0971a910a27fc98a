"""What the tests of interests say often: join with ticks, change them, send to who ticked."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import time_machine
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.groups.models import GroupInterest
from belong_mail.members import ticks
from belong_mail.members.models import Subscription
from tests.browser_client import Form, Visitor, links_in, path_of
from tests.factories import group_named, interests_of, make_member
from tests.scenario import ADA, Scenario

SLUG = "african-american-black"
CHARTER, EVENTS = "Helping write the charter", "Planning events"
BEN, CARMEN = "ben@dpsk12.org", "carmen@dpsk12.org"
SUBJECT = "First draft"


class Helpers(Scenario):
    """The scenario of one group's interests."""

    def interest(self, label: str, slug: str = SLUG) -> str:
        with self.services.reading.begin() as session:
            return interests_of(session, slug)[label]

    def joined(self, address: str, *labels: str, slug: str = SLUG, **typed: Any) -> EmailMessage:
        """Join through the form, with ticks; return the welcome."""
        ids = [self.interest(label, slug) for label in labels]
        return self.enter(address, slug, interests=ids, **typed)

    def made(self, address: str, *labels: str, slug: str = SLUG) -> str:
        """Make a member with ticks, as if they had joined long ago; return the public id."""
        with self.services.writing.begin() as session:
            member = make_member(session, self.keyring, address, slug)
            known = interests_of(session, slug)
            ticked = [known[label] for label in labels]
            ticks.set_ticks(self.keyring, member, member, ticked)
            return member.public_id

    def ticked(self, address: str, slug: str = SLUG) -> set[str]:
        """Read, with the worker's keys, what a member ticked, in words."""
        self.worker.drain()
        with self.services.reading.begin() as session:
            index = self.keyring.index.member(group_named(session, slug).public_id, address)
            found = select(Subscription).where(Subscription.address_index == index)
            member = session.scalars(found).one()
            return {label["en"] for label in ticks.labels_of(self.keyring, member)}

    def link(self, address: str = ADA) -> str:
        """Ask for an address's link to “my groups” and return its path, without a language."""
        assert self.visitor.send("/my-groups", email=address).status_code == 303
        [url] = [
            each for each in links_in(self.mails(address)[-1]) if "/my-groups/" in each
        ]  # fmt: skip
        return path_of(url).partition("?")[0]

    def change(self, sheet: str, address: str, *labels: str, slug: str = SLUG) -> int:
        """Tick these and no others in “my groups”, as a browser would send it."""
        member = self.subscription(address, slug)
        assert member is not None
        name = f"{member.public_id}:interests"
        fields = Form(self.visitor.open(sheet).text).fields
        fields[name] = [self.interest(label, slug) for label in labels]
        fields["membership"] = member.public_id
        return self.visitor.press(f"{sheet}/interests", **fields).status_code

    def shown(self, sheet: str, address: str, slug: str = SLUG) -> set[str]:
        """Return what “my groups” shows as ticked, in words."""
        member = self.subscription(address, slug)
        assert member is not None
        said = Form(self.visitor.open(sheet).text).fields.get(f"{member.public_id}:interests", [])
        with self.services.reading.begin() as session:
            words = {public_id: label for label, public_id in interests_of(session, slug).items()}
        return {words[each] for each in ([said] if isinstance(said, str) else said)}

    def retire(self, label: str) -> None:
        with self.services.writing.begin() as session:
            found = select(GroupInterest).where(GroupInterest.public_id == self.interest(label))
            session.scalars(found).one().retired_at = now()

    def minute(self) -> None:
        """Let a minute pass, and the worker do its chores."""
        with time_machine.travel(now() + timedelta(minutes=2), tick=True):
            self.worker.drain()

    def got(self, address: str, subject: str = SUBJECT) -> int:
        return sum(mail["Subject"] == subject for mail in self.relay.to(address))


def write(lead: Visitor, subject: str = SUBJECT, slug: str = SLUG) -> str:
    """Write a draft and return its page."""
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    page = str(lead.press(f"/lead/groups/{slug}/newsletters", csrf_token=token).location)
    assert lead.send(page, subject=subject, text="Come to the library.").status_code == 303
    return page


def release(lead: Visitor, page: str, recipients: str, **typed: str) -> int:
    wanted = {"when": "now", "minutes": "1", "recipients": recipients, **typed}
    return lead.send(f"{page}/release", **wanted).status_code


def act(lead: Visitor, page: str, verb: str) -> int:
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    return lead.press(f"{page}/{verb}", csrf_token=token).status_code
