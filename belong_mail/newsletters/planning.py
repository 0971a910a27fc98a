"""Go on planning a large issue: in steps, each a short transaction of the worker."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from belong_mail.core.decryption import Opener
from belong_mail.members import erasure
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter


def is_any_unfinished(session: Session) -> bool:
    """Tell whether the planning of any issue goes on."""
    return session.scalar(select(exists().where(Newsletter.planned_to.is_not(None)))) is True


def plan_more(opener: Opener, session: Session, at_once: int = newsletters.PLANNED_AT_ONCE) -> bool:
    """Plan the next step of an issue; tell whether there was one.

    Members who are being erased are left out: once planned, an erasure sees to its own chunk.
    """
    unplanned = select(Newsletter).where(Newsletter.planned_to.is_not(None))
    # Planning and a pause or stop wait for each other; claiming a chunk does neither.
    free = unplanned.with_for_update(skip_locked=True, key_share=True)
    newsletter = session.scalar(free.order_by(Newsletter.id).limit(1))
    if newsletter is None or newsletter.planned_to is None:
        return False
    erasure.leave_out(session, opener, newsletter.group)
    newsletters.plan_step(session, newsletter, newsletter.planned_to, at_once)
    return True
