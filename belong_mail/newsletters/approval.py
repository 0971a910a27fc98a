"""A second leader's approval: whether a group needs one, and has one for exactly these words."""

import hashlib
import json
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.core.db import now
from belong_mail.groups.header_words import is_discreet
from belong_mail.groups.models import Group
from belong_mail.newsletters.models import Approval, Flyer, Image, Newsletter, OperatorRelease

# For how long somebody else may say yes.
REQUEST_AGE = timedelta(days=7)
# Leaders needed: one asks and another approves.
TWO = 2
# A group's rule: by its kind, always, or never.
AUTO, ALWAYS, NEVER = "auto", "always", "never"


def is_wanted(session: Session, group: Group) -> bool:
    """Tell whether a group's newsletters need a second leader's yes.

    Where nobody chose, those of a discreet group do, as soon as it has two leaders.
    """
    if group.second_yes == AUTO:
        return is_discreet(group) and len(accounts.leads_of(session, group)) >= TWO
    return bool(group.second_yes == ALWAYS)


def is_needed(session: Session, newsletter: Newsletter) -> bool:
    """Tell whether an issue cannot go out yet, because nobody else has approved these words."""
    if not is_wanted(session, newsletter.group):
        return False
    released = session.get(OperatorRelease, newsletter.id)
    is_operators = released is not None and released.digest == digest(session, newsletter)
    return not is_operators and not is_given(session, newsletter)


def is_given(session: Session, newsletter: Newsletter) -> bool:
    """Tell whether two leads of its group asked for and approved an issue as it is now."""
    found = newsletter.approval
    if found is None or found.digest != digest(session, newsletter):
        return False
    leads = {each.id for each in accounts.leads_of(session, newsletter.group)}
    return found.approved_by != found.asked_by and {found.asked_by, found.approved_by} <= leads


def is_open(session: Session, newsletter: Newsletter) -> bool:
    """Tell whether an issue waits for a yes: asked for, not expired, and not edited since."""
    found = newsletter.approval
    return (
        found is not None
        and found.approved_by is None
        and found.asked_at > now() - REQUEST_AGE
        and newsletter.due_at is None
        and newsletter.queued_at is None
        and found.digest == digest(session, newsletter)
    )


def digest(session: Session, newsletter: Newsletter) -> bytes:
    """Return what stands for all that goes out of an issue: group, words, pictures, flyers."""
    found = select(Image).where(Image.newsletter_id == newsletter.id).order_by(Image.id)
    pictures = [
        (each.public_id, each.description, each.media_type, _hash(each.content))
        for each in session.scalars(found)
    ]
    words = (newsletter.subject, newsletter.preheader, newsletter.text)
    said = [newsletter.group.public_id, *words, pictures, *_flyers(session, newsletter)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()


def _flyers(session: Session, newsletter: Newsletter) -> list[tuple[str, str, str]]:
    """List the flyers of an issue; an issue without any keeps earlier approvals."""
    found = select(Flyer).where(Flyer.newsletter_id == newsletter.id).order_by(Flyer.id)
    return [(each.public_id, each.title, _hash(each.content)) for each in session.scalars(found)]


def exempt(session: Session, newsletter: Newsletter) -> None:
    """Record that an operator's command sends these words without approval."""
    session.flush()
    session.merge(OperatorRelease(newsletter_id=newsletter.id, digest=digest(session, newsletter)))


def forget(session: Session, newsletter: Newsletter) -> None:
    """Void a request or an approval."""
    session.execute(delete(Approval).where(Approval.newsletter_id == newsletter.id))
    session.expire(newsletter, ["approval"])


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
