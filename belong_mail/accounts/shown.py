"""What public pages show of groups, of who leads them and of settings: `cached_by` reads no more.

A page is built anew when these rows change, and takes longer then. So nothing private stands among
them: how long a page takes would tell anyone that a count moved, or that a lead came or went.
Meetings are compared whole: calendars show how often one was changed.
"""

from typing import Final

from sqlalchemy import bindparam, or_, select

from belong_mail.accounts.models import Account, GroupLead
from belong_mail.accounts.service import is_held
from belong_mail.core.db import UtcTime
from belong_mail.core.site_settings import EDITABLE, SiteSetting
from belong_mail.groups.models import Group, GroupInterest, Question

GROUPS: Final = select(
    Group.id,
    Group.public_id,
    Group.slug,
    Group.name,
    Group.summary,
    Group.mission,
    Group.activities,
    Group.audience,
    Group.note,
    Group.resources,
    Group.position,
    Group.established_at,
    Group.is_discreet,
    Group.allows_personal_addresses,
    # By a name that it once had, a group is discreet.
    Group.known_names,
    Group.ends_at,
    Group.retired_at,
    # Whether its leads can be written to; not where.
    Group.wrapped_mailbox.is_not(None),
).order_by(Group.id)

# What the office has not said yes to is not asked.
QUESTIONS: Final = (
    select(
        Question.id,
        Question.group_id,
        Question.position,
        Question.kind,
        Question.label,
        Question.options,
        Question.is_required,
    )
    .where(Question.approved_at.is_not(None))
    .order_by(Question.id)
)

INTERESTS: Final = (
    select(GroupInterest.id, GroupInterest.public_id, GroupInterest.group_id, GroupInterest.label)
    .where(GroupInterest.retired_at.is_(None))
    .order_by(GroupInterest.id)
)

# Which groups somebody leads at a time; not who, nor how many.
LED_GROUPS: Final = (
    select(GroupLead.group_id)
    .join(Account)
    .where(is_held(bindparam("at", type_=UtcTime)), Account.suspended_at.is_(None))
    .distinct()
    .order_by(GroupLead.group_id)
)

SETTINGS: Final = (
    select(SiteSetting.name, SiteSetting.value)
    .where(or_(*(SiteSetting.name == name for name in EDITABLE)))
    .order_by(SiteSetting.name)
)
