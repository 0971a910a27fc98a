"""The worker's tasks for the office: end groups, announce and apply settings.

The office or an operator sets a group's end. The worker does the rest and trusts no date that the
web could write: it first notifies leaders and the office, and keeps memberships for `NOTICE` after
that.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from belong_mail.accounts import proven, right_tasks
from belong_mail.core import audit, site_settings
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.retention import BATCH_ROWS
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import StillLocked, Work, as_posted, each_minute, writes
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import last_moment
from belong_mail.members import erasure
from belong_mail.members.models import Subscription, WaitlistEntry
from belong_mail.newsletters import release
from belong_mail.office.group_retirement import IS_ENDING, emptied_after

# The email that a group will end, has ended, or goes on after all.
GROUP_ENDS = "group-ends"
SETTINGS_CHANGED = "settings-changed"
IS_CONCERNED = or_(IS_ENDING, Group.announced_end.is_not(None)) & Group.emptied_at.is_(None)
CONCERNED = select(Group).where(IS_CONCERNED)


@each_minute("Groups do not end", exists().where(IS_CONCERNED))
def carry_on(work: Work) -> int:
    """Announce, end and empty groups whose end was set or canceled; return the rows deleted."""
    session, at = work.session, work.at
    deleted = 0
    found = CONCERNED.order_by(Group.id).with_for_update(skip_locked=True, key_share=True)
    for group in session.scalars(found):
        if group.announced_end != group.ends_at:
            _announce(work, group)
        if group.has_ended(at) and group.retired_at is None:
            release.retire(session, group)
        if group.retired_at is not None and (emptied_after(group) or at) <= at:
            deleted += _empty(session, group, at)
    session.flush()
    return deleted


@each_minute("A lock keeps the end of groups untold", exists().where(IS_CONCERNED))
def find_locked_groups(work: Work) -> None:
    """Raise StillLocked while a lock keeps groups from `carry_on`, to alert an operator."""
    # Compared in Python: PostgreSQL's infinity, which the web could write, loads as another date.
    if any(each.announced_end != each.ends_at for each in work.session.scalars(CONCERNED)):
        raise StillLocked


def _announce(work: Work, group: Group) -> None:
    """Notify leaders and the office, by their proven rights, of an end or its cancellation.

    The inbox gets it, too; emails are fixed now, as the web could change rows for a moment.
    """
    session, keys = work.session, work.keys
    group.announced_end = group.ends_at
    group.announced_at = work.at
    if group.ends_at is None:  # canceled, perhaps after it had passed
        group.retired_at = None
    kept_until = emptied_after(group)
    said: dict[str, Any] = {
        "group": group.names_in_emails,
        "ends_at": group.ends_at and group.ends_at.isoformat(),
        "kept_until": kept_until and kept_until.isoformat(),
        "has_ended": group.has_ended(work.at),
    }
    work.post(GROUP_ENDS, work.settings.contact_inbox, DEFAULT, **said)
    for one in proven.concerned(session, keys.opener, [group]):
        right_tasks.post_to(session, keys, GROUP_ENDS, one, **said)


def _empty(session: Session, group: Group, at: datetime) -> int:
    """Delete a batch of memberships and their waiting email; after the last, the waiting list."""
    found = select(Subscription).where(Subscription.group_id == group.id).limit(BATCH_ROWS)
    rows = list(session.scalars(found.with_for_update()))
    erasure.forget_subscriptions(session, rows)
    if len(rows) < BATCH_ROWS:
        session.execute(delete(WaitlistEntry).where(WaitlistEntry.group_id == group.id))
        group.wrapped_mailbox, group.members_shown, group.emptied_at = None, None, at
        audit.record(session, audit.Kind.GROUP_EMPTIED, group=group)
    return len(rows)


@writes(GROUP_ENDS)
def group_ends_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a leader or the office when a group ends, or that it goes on."""
    letter = as_posted(session, mailer, delivery)
    last_day, kept_until = (
        last_moment(each and datetime.fromisoformat(each))
        for each in (letter.context["ends_at"], letter.context["kept_until"])
    )
    return letter.saying(last_day=last_day, kept_until=kept_until)


writes(SETTINGS_CHANGED)(as_posted)
each_minute("Names of groups are not kept")(lambda work: groups.note_names(work.session))


@each_minute("Changed settings are not used", select(site_settings.SiteSetting.name).exists())
def apply_changes(work: Work) -> None:
    """Apply the settings that were announced, and announce those that have changed.

    A change is applied a minute after its announcement, which has committed by then. The office's
    inbox gets it, too: the web could make it look as if no one works for the office.
    """
    session, keys = work.session, work.keys
    announced = site_settings.ANNOUNCED
    work.mailer.renderer.settings = site_settings.with_changes(session, work.settings, announced)
    changed = site_settings.unannounced(session)
    for each in changed:
        each.announced = each.value
    if changed:
        work.post(SETTINGS_CHANGED, work.settings.contact_inbox, DEFAULT, is_office=False)
        for one in proven.holders(session, keys.opener, None):
            right_tasks.post_to(session, keys, SETTINGS_CHANGED, one, is_office=True)
    session.flush()
