"""Which function writes each kind of mail, answers each kind of request, and runs each minute."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

from sqlalchemy.orm import Session

from belong_mail import alerts, retention, rotation
from belong_mail.contact import letters as contact
from belong_mail.db import NO_DATABASE, now
from belong_mail.interests import receiving as interests
from belong_mail.mail.message import Envelope
from belong_mail.memberships import letters as memberships
from belong_mail.memberships import receiving as my_groups
from belong_mail.moving import letters as moves
from belong_mail.moving import receiving as moving
from belong_mail.newsletters.letters import Press
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.releases import letters as releases
from belong_mail.reminders import letters as reminders
from belong_mail.reminders import service as days
from belong_mail.returns import service as returns
from belong_mail.sending.models import Delivery
from belong_mail.sending.writing import Writing
from belong_mail.shared_mailbox import letters as mailboxes
from belong_mail.shared_mailbox import receiving as shared_mailbox
from belong_mail.sign_in import receiving as sign_in
from belong_mail.subscriptions import letters as subscriptions
from belong_mail.subscriptions import receiving
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.receiving import Keyring

log = logging.getLogger(__name__)

LETTERS: dict[str, Callable[[Session, Desk, Delivery], Letter]] = {
    "confirm-subscription": subscriptions.confirm,
    "group-starts": subscriptions.confirm,
    "welcome-member": subscriptions.welcome,
    "already-member": subscriptions.welcome,
    "introduce-member": subscriptions.introduce,
    "contact-message": contact.letter,
    "contact-received": contact.acknowledgement,
    "issue-held": releases.held,
    **{alarm.kind: alerts.letter for alarm in alerts.ALARMS},
    "sign-in": sign_in.letter,
    "my-groups": memberships.link,
    "no-groups": memberships.none,
    "my-copy": memberships.copy,
    "erased": memberships.receipt,
    "change-address": moves.confirm,
    "address-changed": moves.changed,
    "confirm-mailbox": mailboxes.confirm,
    "mailbox-changed": mailboxes.changed,
    "meeting-reminder": reminders.reminder,
}
ENVELOPES: dict[str, Callable[[Session, Desk, Delivery], Envelope]] = {
    "newsletter-copy": releases.copy,
    "newsletter-test": releases.test,
}
"""Copies of an issue."""
Receiver = Callable[[Session, Keyring, Request], None]
RECEIVERS: dict[str, Receiver] = {
    "join": receiving.join,
    "interest": interests.keep,
    "never-mail": interests.never_mail,
    "sign-in": sign_in.receive,
    "my-groups": my_groups.my_groups,
    "my-copy": my_groups.my_copy,
    "erase": my_groups.erase,
    "change-address": moving.change_address,
    "move-address": moving.move_address,
    "propose-mailbox": shared_mailbox.propose,
    "confirm-mailbox": shared_mailbox.confirm,
}
Chore = Callable[[Session], object]
"""May return how many rows it did away with."""
RETURNED = "belong_mail.returns.receiving"


def receivers(desk: Desk) -> dict[str, Receiver]:
    """Return who answers each kind of request: all RECEIVERS, and who needs a desk besides."""
    return {**RECEIVERS, returns.KIND: partial(_returned, desk)}


def chores(desk: Desk, seal_to_operator: Callable[[], bytes] | None) -> dict[str, Chore]:
    """Return what is done each minute, by what the log says when that fails."""
    found: dict[str, Chore] = {
        "Older keys stay in use": lambda session: bool(rotation.rewrap(session, desk.opener)),
        "Nobody is reminded": lambda session: days.queue_due(session, desk.zone, now()),
    }
    if seal_to_operator is not None:
        found["No alarm is raised"] = partial(alerts.watch, seal=seal_to_operator)
    for name, chore in retention.CHORES.items():
        found[f"What is over stays ({name})"] = partial(_now, chore)
    return found


def _now(chore: retention.Chore, session: Session) -> int:
    return chore(session, now())


def tidy(session: Session, chores: dict[str, Chore]) -> bool:
    """Do chores; False: as much as one transaction should do is done, and there is more.

    What fails leaves nothing behind, is named, no more, and stops no other.
    """
    left = retention.MOST
    for complaint, chore in chores.items():
        try:
            with session.begin_nested():
                done = chore(session)
        except NO_DATABASE:
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            log.error("%s: %s", complaint, type(error).__name__)  # noqa: TRY400
            continue
        left -= done if isinstance(done, int) else 0
        if left <= 0:
            return False
    return True


def _returned(desk: Desk, session: Session, keyring: Keyring, request: Request) -> None:
    """Load with the first message that came back what reads it: else most workers never need it."""
    import_module(RETURNED).receive(desk.names, session, keyring, request)


def compose(
    desk: Desk, press: Press, session: Session, ids: list[int]
) -> Iterator[tuple[int, Writing]]:
    """Read what it takes to write deliveries, in their order: those of issues together."""
    of_issues = dict(press.read(session, ids))
    for delivery_id in ids:
        yield delivery_id, of_issues.get(delivery_id) or _written(desk, session, delivery_id)


def _written(desk: Desk, session: Session, delivery_id: int) -> Writing:
    """Write a single message now; what is raised is raised again when it is asked for."""
    try:
        with session.begin_nested():
            envelope = _write(desk, session, session.get_one(Delivery, delivery_id))
    except NO_DATABASE:
        raise
    except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
        return partial(_raise, error)
    return lambda: envelope


def _write(desk: Desk, session: Session, delivery: Delivery) -> Envelope:
    if delivery.kind in ENVELOPES:
        return ENVELOPES[delivery.kind](session, desk, delivery)
    return desk.envelope(delivery, LETTERS[delivery.kind](session, desk, delivery))


def _raise(error: Exception) -> Envelope:
    raise error
