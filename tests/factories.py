"""Builders: members and issues as the tests need them, made by the product's own verbs."""

from datetime import time, timedelta
from typing import Any

from sqlalchemy import func, select

from belong_mail.accounts import invitations
from belong_mail.core.db import now
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Meeting
from belong_mail.members.jobs import Signup
from belong_mail.members.models import Subscription
from belong_mail.members.tasks import start_subscription
from belong_mail.newsletters import approval
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.release import release
from belong_mail.newsletters.tasks import queue_due


def group_named(session, slug: str) -> Group:
    found = groups.find(session, slug)
    assert found is not None
    return found


def change_group(session, slug: str, **values: Any) -> None:
    for name, value in values.items():
        setattr(group_named(session, slug), name, value)


def retire(session, slug: str) -> None:
    groups.mark_retired(session, group_named(session, slug))


def let_work_for_office(session, keyring, address: str) -> None:
    """Let an address work for the office, as if it had accepted an invitation."""
    invitations.invite(session, keyring, None, address)


def launch_an_hour_ago(session, slug: str) -> None:
    """Let a group start, too long ago for that to be undone."""
    group = group_named(session, slug)
    groups.launch(group)
    group.established_at = now() - groups.UNDO_LAUNCH


def make_member(
    session, keyring, address: str, slug: str = "the-village", language="en"
) -> Subscription:
    group = group_named(session, slug)
    member = start_subscription(session, keyring, group, Signup(address=address, language=language))
    member.confirmed_at = now()
    session.flush()
    return member


def make_members(session, keyring, number: int, slug: str = "the-village") -> None:
    group = group_named(session, slug)
    for each in range(number):
        signup = Signup(address=f"member{each}@dpsk12.org", language="en")
        start_subscription(session, keyring, group, signup).confirmed_at = now()
    session.flush()


def queue_issue(
    session,
    slug: str = "the-village",
    subject: str = "This month with us",
    text: str = "Hello, **everybody**.\n\nCome to the [library](https://library.example.org/x).",
) -> Newsletter:
    """Schedule an issue for now, without approval: the worker queues it in its next turn."""
    issue = newsletters.draft(session, group_named(session, slug), subject, text)
    approval.exempt(session, issue)
    release(session, issue, now())
    return issue


def queue_at_once(worker, session, *words: str, **more: str) -> Newsletter:
    """Queue an issue as the worker does; nothing of it is sent yet."""
    issue = queue_issue(session, *words, **more)
    queue_due(worker.work_in(session))
    return issue


def members_of(session, slug: str) -> int:
    found = select(func.count(Subscription.id)).where(
        Subscription.group_id == group_named(session, slug).id, Subscription.is_active
    )
    return session.scalar(found) or 0


def plan_meeting(session, slug: str = "the-village", **planned: Any) -> Meeting:
    usual = {
        "starts_on": now().date() + timedelta(days=7),
        "starts_at": time(16),
        "ends_at": time(17),
        "place": "Room 4, behind the library",
        "link": "https://meet.example.org/tea",
    }
    return meetings.add(session, group_named(session, slug), **{**usual, **planned})
