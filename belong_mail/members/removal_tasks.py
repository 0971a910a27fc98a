"""Take an address out of a group by the office's word, bar it, or let it in again."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import REMOVAL_RATE, WorkerLimit, try_use
from belong_mail.delivery.mailer import post_to_address
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise
from belong_mail.members.erasure import forget_subscriptions
from belong_mail.members.removal import ASKED, BAR, LET_IN, BarredAddress
from belong_mail.members.tasks import find_verified
from belong_mail.members.wrapped_fields import address_of

REMOVED = "removed-by-office"


def receive_removal(session: Session, keyring: Keyring, job: Job) -> None:
    """Do what the office asked for with an address; who was a member is told by email.

    Whoever broke into the web can ask for it as well: for few addresses a day, and each member
    whom it concerns hears of it.
    """
    wanted = keyring.open_job(job)
    group = session.scalar(select(Group).where(Group.public_id == wanted["group"]))
    if group is None or not try_use(session, ASKED, REMOVAL_RATE, now(), table=WorkerLimit):
        return
    identity = normalise(wanted["address"])
    key = group.id, keyring.index.barred(group.public_id, identity)
    barred = session.get(BarredAddress, key)
    if wanted["what"] == LET_IN:
        if barred is not None:
            session.delete(barred)
        return
    if wanted["what"] == BAR and barred is None:
        session.add(BarredAddress(group_id=key[0], address_index=key[1]))
    _remove(session, keyring, group, identity)


def _remove(session: Session, keyring: Keyring, group: Group, identity: str) -> None:
    """Delete a membership, so that no link and no one who writes rows brings it back."""
    subscription = find_verified(session, keyring, group, identity)
    if subscription is None:
        return
    address, language = address_of(keyring, subscription), subscription.language
    is_told = subscription.is_active
    forget_subscriptions(session, [subscription])
    if is_told:
        post_to_address(session, keyring, REMOVED, address, language, group=group.name)
