"""Find accounts and rights for the worker, which trusts proofs only; or raise Refused.

An intruder in the web can write any row, and seal a job in anyone's name.
"""

from sqlalchemy import select

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.delivery.work import Refused, Work


def account(work: Work, public_id: str) -> Account:
    """Find an account by its public id, which proves no right."""
    found = work.session.scalar(select(Account).where(Account.public_id == public_id))
    if found is None:
        raise Refused
    return found


def office(work: Work, public_id: str, leaving: Account | None = None) -> Account:
    """Return the account that asks, if it provably works for the office.

    `leaving` may have just ended its own right, and then its proof is enough.
    """
    by = account(work, public_id)
    is_proven = invitations.has_accepted if by is leaving else invitations.is_proven
    if not is_proven(work.session, work.keys.opener, by, None):
        raise Refused
    return by
