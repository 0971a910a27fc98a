"""The welcome email before anyone gets it: how it looks, and a test to the lead."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.core.encryption import Sealer
from belong_mail.core.i18n import NAMES, LocalizedText
from belong_mail.delivery import outbox
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import localized
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.newsletters.release import TEST_LANGUAGE

# Meetings that a welcome shows.
MEETINGS_SHOWN = 3
TEST = "welcome-test"


def sample(
    session: Session,
    group: Group,
    words: LocalizedText,
    language: str,
    at: datetime,
    zone: ZoneInfo,
) -> dict[str, Any]:
    """Return what a welcome email says, to a member without a name; its links lead nowhere."""
    coming = meetings.next_held(session, zone, at, MEETINGS_SHOWN, group)
    return {
        "group": group,
        "first_name": "",
        "words": localized(words, language),
        "meetings": [formatting.meeting_view(each, language, is_member=True) for each in coming],
    }


def ask_for_test(session: Session, sealer: Sealer, group: Group, account: Account) -> None:
    """Mail a lead the group's welcome email as it is now, in each language."""
    for code in NAMES:
        outbox.post(
            session,
            TEST,
            account_id=account.id,
            about_id=group.id,
            sealed_arguments=sealer.seal(code.encode(), TEST_LANGUAGE),
        )
