"""Match a returned message to its delivery, and act on it."""

import logging
from datetime import timedelta
from itertools import chain, product

from belong_mail.core.encryption import sealed_for
from belong_mail.delivery import outcomes
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.return_paths import message_names
from belong_mail.delivery.work import JobWork, Work
from belong_mail.inbound import bounces
from belong_mail.inbound.attribution import asks_to_leave, attribute
from belong_mail.inbound.jobs import ReadReturned
from belong_mail.mail import address as addresses
from belong_mail.mail.bounces.parser import Kind, Report, parse_report
from belong_mail.mail.smtp.replies import ReplyClass
from belong_mail.members import service as members
from belong_mail.members.import_tasks import INVITED, INVITED_AGAIN
from belong_mail.members.models import Subscription
from belong_mail.members.tasks import CONFIRMATION_KINDS, leave_alone
from belong_mail.members.wrapped_fields import address_of

# Emails that ask someone to confirm joining.
ASKING_KINDS = (*CONFIRMATION_KINDS, INVITED, INVITED_AGAIN)
RETRY_SOON = timedelta(minutes=1)
# Code, status and phrase of a bounce from an address to which the recipient forwards.
OTHER_DOMAIN = None, "", "at another address"
# Parents of the domains by which providers route email within a customer's mail system.
PROVIDER_DOMAINS = ".onmicrosoft.com", ".test-google-a.com"
# The same for a bounce that any reader of a reply to our message could have written.
UNPROVEN = None, "", "not proven"
log = logging.getLogger(__name__)


def receive_returned(work: JobWork) -> None:
    """Find the delivery that a returned message is about, and act on it.

    Only a message about a delivery of ours changes anything, so that forged reports have no effect.
    A second bounce of an email does not count.
    """
    session, job = work.session, work.job
    held = work.keys.opener.open(job.sealed or b"", sealed_for(job.kind))
    return_path, _, message = held.partition(b"\n")
    report = parse_report(message)
    path = return_path.decode("ascii", "replace")
    if (public_id := asks_to_leave(work.mailer.names, path, report)) is not None:
        members.leave_if_there(session, public_id)
        return
    found = attribute(session, work.mailer, path, report)
    if found is None:
        return
    delivery, is_proven = found
    if delivery.state == State.SENDING:
        ReadReturned().write(session, sealed=job.sealed, due_at=work.at + RETRY_SOON)
    elif report.kind is Kind.DELIVERED:
        outcomes.arrive_at(delivery)
    elif report.kind is Kind.BOUNCE and not is_proven:
        outcomes.apply_bounce(delivery, *UNPROVEN)
    elif report.kind is Kind.BOUNCE:
        _bounce(work, delivery, report)
    elif is_proven and _asks_to_leave(report):
        _let_go(work, delivery, report)


def _asks_to_leave(report: Report) -> bool:
    return report.kind is Kind.UNSUBSCRIBE or (report.kind is Kind.COMPLAINT and report.suppress)


def _bounce(work: Work, delivery: Delivery, report: Report) -> None:
    is_own = _is_own(work.settings.allowed_domains, delivery, report)
    why = (report.code, report.status, report.phrase) if is_own else OTHER_DOMAIN
    if not outcomes.apply_bounce(delivery, *why):
        return
    if is_own and report.verdict in (*outcomes.SENDER_FAULTS, ReplyClass.POLICY):
        log.warning("Emails bounce because of our setup: %s", report.phrase or report.status)
        bounces.record_our_fault(work.session)
    bounces.handle_bounce(work.session, delivery.id)


def _is_own(domains: tuple[str, ...], delivery: Delivery, report: Report) -> bool:
    """Return whether the recipient's own address may have failed, not a forwarding target.

    The report may name the recipient's address although a target failed. Only the district's
    domains decide, not the recipient's: otherwise a forger could test guesses by the result.
    """
    if delivery.subscription_id is None or not report.recipients:
        return True
    names = {addresses.domain(each) for each in report.last_tried or report.recipients}
    inner = (*(f".{each}" for each in domains), *PROVIDER_DOMAINS)
    return any(each in domains or each.endswith(inner) for each in names)


def _let_go(work: Work, delivery: Delivery, report: Report) -> None:
    """End a membership at the request of its mailbox.

    A complaint about a request to confirm also stops further ones, if it has our Message-ID. A
    return path is not enough: an intruder in the web can sign one, and could test guesses by it.
    """
    session, keys = work.session, work.keys
    subscription = session.get(Subscription, delivery.subscription_id or 0)
    if subscription is None:
        return
    was_asked = delivery.kind in ASKING_KINDS and not subscription.is_active
    members.leave(session, subscription.public_id)
    if report.kind is not Kind.COMPLAINT or not was_asked:
        return
    address, read = address_of(keys, subscription), work.mailer.names.read_message_id
    names = chain.from_iterable(map(message_names, report.message_ids))
    held = product(names, addresses.sent_as(address))
    if delivery.id in (read(name, recipient) for name, recipient in held):
        leave_alone(session, keys, addresses.folded(address))
