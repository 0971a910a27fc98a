"""Copies of an issue for leads and office, and the emails about issues that wait."""

from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from belong_mail.accounts import proven
from belong_mail.core.db import now
from belong_mail.core.i18n import DEFAULT, catalog, format_day
from belong_mail.core.translatable import gettext_noop
from belong_mail.delivery.dispatcher import Compose, SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, read_posted
from belong_mail.delivery.models import HALTED_NEWSLETTERS, Chunk, Delivery, State
from belong_mail.delivery.work import writes
from belong_mail.mail.message.template import MessageTemplate
from belong_mail.newsletters import approval, issue_mailer, release
from belong_mail.newsletters.checklist import FitMessage
from belong_mail.newsletters.issue_mailer import copy_for, writes_copy
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.release import APPROVE, HELD, OFFICE_ACTED, OFFICE_COPY, TEST_COPY
from belong_mail.newsletters.rendering import IssueText

# Prefix of the subject of a test copy.
TEST_MARK = gettext_noop("Test")


@writes_copy(TEST_COPY)
def test_copy(session: Session, mailer: Mailer, delivery: Delivery) -> Compose:
    """Send a leader the issue as it is now, in the requested language."""
    newsletter = _issue(session, delivery)
    to, said = read_posted(mailer.keys.opener, delivery)
    leads = proven.holders(session, mailer.keys.opener, newsletter.group)
    if said["lead"] not in {each.public_id for each in leads}:
        raise SkipDelivery(State.WITHDRAWN)
    language = said["written"] or said["language"]
    spoken = IssueText.from_issue(newsletter).of(language)[2]
    prefix = f"[{catalog(spoken).gettext(TEST_MARK)}] "
    fit = issue_mailer.build(mailer, newsletter, language, prefix=prefix, copy_for="lead")
    return partial(copy_for, mailer, delivery, fit, to, spoken)


@writes_copy(OFFICE_COPY)
def office_copy(session: Session, mailer: Mailer, delivery: Delivery) -> Compose:
    """Send the office its copy of an issue, to the address in the settings, whatever rows say.

    It was fixed when the issue was queued: the web could write other words for the office alone.
    """
    newsletter = session.get_one(Newsletter, delivery.about_id)
    if delivery.sealed_arguments:
        _, said = read_posted(mailer.keys.opener, delivery)
        wire = MessageTemplate.from_bytes(said["wire"].encode())
        fit = FitMessage(newsletter, wire, DEFAULT, mailer.links.root)
    else:  # it was queued by an earlier version, and waited during the upgrade
        fit = issue_mailer.build(mailer, newsletter, DEFAULT, copy_for="office")
    return partial(copy_for, mailer, delivery, fit, mailer.settings.contact_inbox, DEFAULT)


@writes(HELD)
def held_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask a lead what to do with an issue that was not sent, or is paused.

    Raises SkipDelivery if that was decided while no email could be sent.
    """
    to, said = read_posted(mailer.keys.opener, delivery)
    halted = HALTED_NEWSLETTERS.where(Chunk.newsletter_id == delivery.about_id)
    if said["why"] == "paused" and session.scalar(halted) is None:
        raise SkipDelivery(State.WITHDRAWN)
    context = {"why": said["why"], **_about(mailer, said)}
    return Email(to, said["language"], context)


@writes(APPROVE)
def approval_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask a lead to approve an issue that another lead wants to send."""
    newsletter = _issue(session, delivery)
    if newsletter.approval is None or not approval.is_open(newsletter):
        raise SkipDelivery(State.WITHDRAWN)
    to, said = read_posted(mailer.keys.opener, delivery)
    until, zone = newsletter.approval.asked_at + approval.REQUEST_AGE, mailer.settings.timezone
    day = format_day(until.astimezone(zone).date(), said["language"])
    return Email(to, said["language"], {**_about(mailer, said, "approvals.approve"), "until": day})


@writes(OFFICE_ACTED)
def office_acted_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell a lead what the office did with an issue of their group, if it is the last action."""
    to, said = read_posted(mailer.keys.opener, delivery)
    if release.last_action(_issue(session, delivery)) != said["done"]:
        raise SkipDelivery(State.WITHDRAWN)
    subject = said["subject"]
    context = {
        "newsletter": subject.get(said["language"]) or subject.get(DEFAULT, ""),
        "done": said["done"],
        "at": delivery.created_at,
        **_about(mailer, said),
    }
    return Email(to, said["language"], context)


def _about(mailer: Mailer, said: dict[str, Any], page: str = "releases.sending") -> dict[str, Any]:
    """Return the template arguments of emails about an issue: its group, and the URL of a page."""
    url = mailer.links.page(page, said["language"], public_id=said["newsletter"])
    return {"group": said["group"], "issue_url": url}


def _issue(session: Session, delivery: Delivery) -> Newsletter:
    newsletter = session.get(Newsletter, delivery.about_id)
    if newsletter is None or newsletter.group.has_ended(now()):
        raise SkipDelivery(State.WITHDRAWN)
    return newsletter
