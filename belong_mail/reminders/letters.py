"""The reminder: which meeting, when and where, to a member who still wants to know."""

from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.meetings import recurrence, words
from belong_mail.meetings.models import Meeting, Reminder
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.subscriptions import letters as subscriptions


def reminder(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Remind a member; whoever left, paused or wants it no more is left alone."""
    member = subscriptions.reader(session, delivery)
    noted = session.get(Reminder, delivery.about_id)
    if noted is None or not member.is_reminded:
        raise NotSent(State.WITHDRAWN)
    meeting = session.get_one(Meeting, noted.meeting_id)
    if meeting.group_id != member.group_id:
        raise NotSent(State.WITHDRAWN)
    days = recurrence.occurrences(meeting, desk.zone, noted.held_on, noted.held_on)
    held = [each for each in days if not each.is_cancelled]
    if not held:
        raise NotSent(State.WITHDRAWN)
    if held[0].starts < now():
        raise NotSent(State.EXPIRED)
    return Letter(
        to=subscriptions.address(session, desk, member),
        language=member.language,
        context={
            "group": member.group,
            "meeting": words.shown(held[0], member.language, is_member=True),
            "leave_url": subscriptions.leave_link(desk, member, delivery),
        },
    )
