"""Copies of an issue for leads and office, and the emails about issues that wait."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, right_tasks
from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.core.i18n import DEFAULT, format_day, known_language
from belong_mail.core.translatable import gettext_noop
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import SEALED_ARGUMENTS, Email, Mailer, read_posted
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import writes
from belong_mail.newsletters import approval, issue_mailer, release
from belong_mail.newsletters.issue_mailer import IssueCopy, writes_copy
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.rendering import IssueText
from belong_mail.newsletters.service import OFFICE_COPY
from belong_mail.newsletters.tasks import APPROVE, HELD, OFFICE_ACTED, TEST_COPY

# Prefix of the subject of a test copy.
TEST_MARK = gettext_noop("Test")


@writes_copy(TEST_COPY)
def test_copy(session: Session, mailer: Mailer, delivery: Delivery) -> IssueCopy:
    """Send a lead of its group the issue as it is now, in the requested language."""
    newsletter, lead, to = _addressed(session, mailer, delivery)
    language = lead.language
    if delivery.sealed_arguments is not None:
        language = known_language(_said(mailer, delivery))
    spoken = IssueText.from_issue(newsletter).of(language)[2]
    prefix = f"[{mailer.renderer.words(spoken, TEST_MARK)}] "
    fit = issue_mailer.build(mailer, newsletter, language, prefix=prefix, copy_for="lead")
    return IssueCopy(fit, to, spoken)


@writes_copy(OFFICE_COPY)
def office_copy(session: Session, mailer: Mailer, delivery: Delivery) -> IssueCopy:
    """Send the office its copy of a sent issue: to its own inbox, whatever the row says."""
    newsletter = _issue(session, delivery)
    fit = issue_mailer.build(mailer, newsletter, DEFAULT, copy_for="office")
    return IssueCopy(fit, mailer.office, DEFAULT)


@writes(HELD)
def held_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask a lead what to do with an issue that was not sent, or is paused.

    Skips an issue that was decided on while no email could be sent.
    """
    to, said = read_posted(mailer.opener, delivery)
    is_over = ~Newsletter.is_late | Newsletter.stopped_at.is_not(None)
    decided = select(Newsletter.id).where(Newsletter.id == delivery.about_id, is_over)
    if said["why"] == "paused" and session.scalar(decided) is not None:
        raise SkipDelivery(State.WITHDRAWN)
    url = mailer.links.page("releases.sending", said["language"], public_id=said["newsletter"])
    context = {"group": said["group"], "why": said["why"], "issue_url": url}
    return Email(to, said["language"], context)


@writes(APPROVE)
def approval_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask a lead to approve an issue that another lead wants to send."""
    newsletter, lead, to = _addressed(session, mailer, delivery)
    asked = newsletter.approval
    if asked is None or asked.asked_by == lead.id or not approval.is_open(newsletter):
        raise SkipDelivery(State.WITHDRAWN)
    url = mailer.links.page("approvals.approve", lead.language, public_id=newsletter.public_id)
    until = (asked.asked_at + approval.REQUEST_AGE).astimezone(mailer.zone)
    day = format_day(until.date(), lead.language)
    context = {"group": newsletter.group, "issue_url": url, "until": day}
    return Email(to, lead.language, context)


@writes(OFFICE_ACTED)
def office_acted_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell a lead what the office did with an issue of their group, if that still holds."""
    newsletter, lead, to = _addressed(session, mailer, delivery)
    done = release.last_action(newsletter)
    if _said(mailer, delivery) != done:
        raise SkipDelivery(State.WITHDRAWN)
    url = mailer.links.page("releases.sending", lead.language, public_id=newsletter.public_id)
    context = {
        "group": newsletter.group,
        "newsletter": IssueText.from_issue(newsletter).of(lead.language)[0],
        "done": done,
        "at": delivery.created_at,
        "issue_url": url,
    }
    return Email(to, lead.language, context)


def _said(mailer: Mailer, delivery: Delivery) -> str:
    """Unwrap the word stored for an email about an issue."""
    place = f"{SEALED_ARGUMENTS}/{delivery.kind}"
    return mailer.opener.unwrap(delivery.sealed_arguments or b"", place, "").decode()


def _addressed(
    session: Session, mailer: Mailer, delivery: Delivery
) -> tuple[Newsletter, Account, str]:
    """Return an issue and its reader, who provably leads its group, with their address."""
    newsletter = _issue(session, delivery)
    for lead in right_tasks.holders(session, mailer.opener, newsletter.group):
        if lead.id == delivery.account_id:
            return newsletter, lead, invitations.account_address(mailer.opener, mailer.index, lead)
    raise SkipDelivery(State.WITHDRAWN)


def _issue(session: Session, delivery: Delivery) -> Newsletter:
    newsletter = session.get(Newsletter, delivery.about_id)
    if newsletter is None or newsletter.group.has_ended(now()):
        raise SkipDelivery(State.WITHDRAWN)
    return newsletter
