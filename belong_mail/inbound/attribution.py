"""Find the delivery that a report is about, and how far the report can be trusted.

First by our return path, which cannot be guessed: only someone who saw the message with its headers
knows it. Otherwise by our Message-ID, which replies and forwarded messages also carry. A Message-ID
decrypts only with its recipient, whom the report must name. It ends a membership only if the
returned message contains the membership's own link to leave, which would end it anyway.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Final

from sqlalchemy.orm import Session

from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.core.rate_limits import REPORTS_RATE, SAME_MESSAGE_REPORTS_RATE
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.mailer import Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.return_paths import VerpAddresses, message_names
from belong_mail.mail.address import InvalidAddress, normalise
from belong_mail.mail.bounces.parser import Kind, Report
from belong_mail.members.models import Subscription

# A recipient and a forwarding target. A report with more could be testing guesses.
MAX_RECIPIENTS: Final = 2
# Message-IDs tried: of the returned message, and of those that it replied to.
MAX_MESSAGES: Final = 3


def asks_to_leave(names: VerpAddresses, return_path: str, report: Report) -> str | None:
    """Return the public id of the membership that an email to a leave address ends, or None.

    The address alone is the authority, as a link is: sender and text do not count. Automatic
    messages to it end nothing.
    """
    if report.is_automatic or report.kind not in (Kind.UNSUBSCRIBE, Kind.OTHER):
        return None
    named = (names.read_leave_address(each) for each in (return_path, *report.paths))
    return next((each for each in named if each is not None), None)


def attribute(
    session: Session, mailer: Mailer, return_path: str, report: Report
) -> tuple[Delivery, bool] | None:
    """Return the delivery that a report is about, locked for update, or None.

    Returns also whether the report is proven: its writer could have ended the membership anyway.
    """
    by_path = (mailer.names.read(path) for path in (return_path, *report.paths))
    if (delivery := _first(session, by_path)) is not None:
        return delivery, True
    delivery = _first(session, _by_message_id(session, mailer, report))
    if delivery is None:
        return None
    return delivery, _holds_way_out(session, mailer, delivery, report)


def _first(session: Session, ids: Iterable[int | None]) -> Delivery | None:
    found = next((each for each in ids if each is not None), None)
    return None if found is None else session.get(Delivery, found, with_for_update=True)


def _by_message_id(session: Session, mailer: Mailer, report: Report) -> Iterator[int | None]:
    """Yield delivery ids by a report's Message-IDs and its recipients, or else its To."""
    named = {_identity(each) for each in report.recipients or report.sent_to}
    if not named or len(named) > MAX_RECIPIENTS:
        return
    found = dict.fromkeys(chain.from_iterable(map(message_names, report.message_ids)))
    for name in islice(found, MAX_MESSAGES):
        if _may_compare(session, mailer, name):
            yield from (mailer.names.read_message_id(name, each) for each in named)


def _may_compare(session: Session, mailer: Mailer, name: str) -> bool:
    """Return whether a Message-ID may be tried, and count that as a lookup of an address.

    Anyone can invent one. If it names no delivery, it is neither tried nor counted.
    """
    if session.get(Delivery, mailer.names.number_in(name)) is None:
        return False
    of_message = mailer.keys.index.returned(f"message/{name}")
    rates = ((b"reports", REPORTS_RATE), (of_message, SAME_MESSAGE_REPORTS_RATE))
    if not rate_limits.try_uses(session, rates, now()):
        return False
    jobs.count_lookups(session, 1, now())
    return True


def _identity(address: str) -> str:
    with suppress(InvalidAddress):
        return normalise(address)
    return ""


def _holds_way_out(session: Session, mailer: Mailer, delivery: Delivery, report: Report) -> bool:
    member = session.get(Subscription, delivery.subscription_id or 0)
    text = " ".join(report.ways_out)
    named = mailer.links.named_in(text, "subscriptions.one_click", Purpose.ONE_CLICK)
    return member is not None and member.public_id in set(named)
