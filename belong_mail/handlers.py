"""Which function writes each kind of mail, and which answers each kind of request."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from belong_mail.contact import letters as contact
from belong_mail.mail.message import Envelope
from belong_mail.memberships import letters as memberships
from belong_mail.memberships import receiving as my_groups
from belong_mail.moving import letters as moves
from belong_mail.moving import receiving as moving
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.releases import letters as releases
from belong_mail.reminders import letters as reminders
from belong_mail.sending.models import Delivery
from belong_mail.sign_in import receiving as sign_in
from belong_mail.subscriptions import letters as subscriptions
from belong_mail.subscriptions import receiving
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.receiving import Keyring

LETTERS: dict[str, Callable[[Session, Desk, Delivery], Letter]] = {
    "confirm-subscription": subscriptions.confirm,
    "welcome-member": subscriptions.welcome,
    "already-member": subscriptions.welcome,
    "introduce-member": subscriptions.introduce,
    "contact-message": contact.letter,
    "contact-received": contact.acknowledgement,
    "issue-held": releases.held,
    "sign-in": sign_in.letter,
    "my-groups": memberships.link,
    "no-groups": memberships.none,
    "my-copy": memberships.copy,
    "erased": memberships.receipt,
    "change-address": moves.confirm,
    "address-changed": moves.changed,
    "meeting-reminder": reminders.reminder,
}
ENVELOPES: dict[str, Callable[[Session, Desk, Delivery], Envelope]] = {
    "newsletter-copy": releases.copy,
    "newsletter-test": releases.test,
}
"""Copies of an issue."""
RECEIVERS: dict[str, Callable[[Session, Keyring, Request], None]] = {
    "join": receiving.join,
    "never-mail": receiving.never_mail,
    "sign-in": sign_in.receive,
    "my-groups": my_groups.my_groups,
    "my-copy": my_groups.my_copy,
    "erase": my_groups.erase,
    "change-address": moving.change_address,
    "move-address": moving.move_address,
}
