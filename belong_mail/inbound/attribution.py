"""Find the delivery that a report is about, and say how much that proves.

By our return path, which is signed: whoever knows it has had the message, headers and all. Else by
our Message-ID, which replies and forwarded messages carry to others: it counts only where the
report names the recipient whom the worker wrote to, and ends a membership only where the message
that came back holds that membership's own way out, which ends it by itself.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from belong_mail.accounts.invitations import account_address
from belong_mail.accounts.models import Account
from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.mailer import SEALED_TO, Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.address import InvalidAddress, normalise
from belong_mail.mail.bounces.parser import Kind, Report
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import address_of

# A mailbox and where it forwards to; a report that names more could be trying out guesses.
MAX_RECIPIENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose report it is; `is_proven`: whoever wrote it could have ended the membership."""

    delivery: Delivery
    is_proven: bool


def asks_to_leave(names: VerpAddresses, return_path: str, report: Report) -> str | None:
    """Return the public id of the membership that an email ends by its address, or None.

    The address is the authority, as the link is: who sent it, and what it says, does not count. A
    report or an automatic reply that strays there is no wish.
    """
    if report.is_automatic or report.kind not in (Kind.UNSUBSCRIBE, Kind.OTHER):
        return None
    named = (names.read_leave_address(each) for each in (return_path, *report.paths))
    return next((each for each in named if each is not None), None)


def attribute(
    session: Session, mailer: Mailer, keyring: Keyring, return_path: str, report: Report
) -> Attribution | None:
    """Return the delivery that a report is about, locked; None: it names none of ours."""
    by_path = (mailer.names.read(path) for path in (return_path, *report.paths))
    if (delivery := _first(session, by_path)) is not None:
        return Attribution(delivery, is_proven=True)
    by_message = (mailer.names.read_message_id(each) for each in report.message_ids)
    delivery = _first(session, by_message)
    if delivery is None or not _is_recipient(session, keyring, delivery, report):
        return None
    return Attribution(delivery, _holds_way_out(session, mailer, delivery, report))


def _first(session: Session, ids: Iterable[int | None]) -> Delivery | None:
    found = next((each for each in ids if each is not None), None)
    return None if found is None else session.get(Delivery, found, with_for_update=True)


def _is_recipient(session: Session, keyring: Keyring, delivery: Delivery, report: Report) -> bool:
    """Tell whether the report names whom we wrote to; where it names nobody, the message's To."""
    named = {_identity(each) for each in report.recipients or report.sent_to}
    if not named or len(named) > MAX_RECIPIENTS:
        return False
    with suppress(DecryptionError):
        return _identity(_address(session, keyring, delivery)) in named - {""}
    return False


def _identity(address: str) -> str:
    with suppress(InvalidAddress):
        return normalise(address)
    return ""


def _address(session: Session, keyring: Keyring, delivery: Delivery) -> str:
    """Open the address that a delivery went to, or return "" where that is not known any more."""
    if (member := session.get(Subscription, delivery.subscription_id or 0)) is not None:
        return address_of(keyring, member)
    if (account := session.get(Account, delivery.account_id or 0)) is not None:
        return account_address(keyring.opener, keyring.index, account)
    if delivery.sealed_to is not None:
        return keyring.opener.unwrap(delivery.sealed_to, SEALED_TO, "").decode()
    return ""


def _holds_way_out(session: Session, mailer: Mailer, delivery: Delivery, report: Report) -> bool:
    member = session.get(Subscription, delivery.subscription_id or 0)
    text = " ".join(report.ways_out)
    named = mailer.links.named_in(text, "subscriptions.one_click", Purpose.ONE_CLICK)
    return member is not None and member.public_id in set(named)
