"""Rights that the worker believes; anything else raises Refused.

An intruder in the web can write any row, and seal a job in anyone's name.
"""

from sqlalchemy import select

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.delivery.work import Refused, Work


def account(work: Work, public_id: str) -> Account:
    """Find the account that a job is about, which proves no right."""
    found = work.session.scalar(select(Account).where(Account.public_id == public_id))
    if found is None:
        raise Refused
    return found


def office(work: Work, public_id: str, leaving: Account | None = None) -> Account:
    """Return the account that asks, if it provably works for the office.

    `leaving`: an account that just ended its own right still has its proof.
    """
    by = account(work, public_id)
    is_proven = invitations.has_accepted if by is leaving else invitations.is_proven
    if not is_proven(work.session, work.keys.opener, by, None):
        raise Refused
    return by
