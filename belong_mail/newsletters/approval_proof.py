"""The worker's check of a second leader's approval: proven rights count, rows alone don't."""

from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core.decryption import Opener
from belong_mail.newsletters import approval
from belong_mail.newsletters.models import Newsletter


def may_go_out(opener: Opener, session: Session, newsletter: Newsletter) -> bool:
    """Tell whether an issue may go out: two proven leads of its group approved its words.

    Or no approval is needed. An intruder in the web can write rows that name two accounts, but
    cannot make an account that provably leads the group.
    """
    if approval.is_needed(session, newsletter):
        return False
    found = newsletter.approval
    if found is None or not approval.is_wanted(session, newsletter.group):
        return True
    both = [session.get(Account, each) for each in (found.asked_by, found.approved_by) if each]
    return all(
        each is not None and invitations.is_proven_lead(session, opener, each, newsletter.group)
        for each in both
    )
