"""When a delivery is retried, for how long, and how long the relay is left alone."""

import random
from datetime import timedelta

from belong_mail.mail.smtp.replies import ReplyClass

# A recipient's server that cannot take it now: after five minutes, then twice as long each time.
# Most greylisting accepts a message after five minutes; a server that was down at night is tried
# often enough in the morning.
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=3)
# By how much each wait varies, so that what failed together does not come back together.
RETRY_SPREAD = (0.8, 1.2)
# After a conversation broke for the first time, or a single message's answer was lost.
RETRY_AT_ONCE = timedelta(0)


# Kinds of email that someone has just asked for, and waits for.
TRANSACTIONAL = (
    "sign-in",
    "proof",
    "invitation",
    "confirm-subscription",
    "already-member",
    "my-groups",
    "no-groups",
    "change-address",
    "confirm-mailbox",
    "email-again",
    "staff-code",
)


# So each of them leaves within a minute of the relay's return.
TRANSACTIONAL_RETRY = timedelta(seconds=45)


# How long a kind of message is tried; others as long as an issue.
GIVE_UP_AFTER = {
    # A server that is down over a weekend has two days.
    "newsletter": timedelta(hours=48),
    # People look for it today; the form can be sent again.
    "confirm-subscription": timedelta(hours=24),
    # The link works for three days, from when the email was asked for.
    "invited-to-confirm": timedelta(hours=24),
    "invited-to-confirm-again": timedelta(hours=24),
    # How long people look for a link that they asked for.
    "sign-in": timedelta(hours=1),
    "proof": timedelta(hours=1),
    # Half of the time for which the code works.
    "staff-code": timedelta(hours=1),
    # No one would write it again: RFC 5321, section 4.5.4.1, asks for four to five days.
    "contact-message": timedelta(days=5),
    "introduce-member": timedelta(days=5),
    "invitation": timedelta(days=5),
}


# Between attempts if the relay does not answer: no longer, because someone may wait for a link.
RELAY_DOWN_REST = timedelta(minutes=1)


# The same if it answers, and refuses everything.
RELAY_RESTS = {
    # If it named a limit: limits are by the hour or by the day.
    ReplyClass.QUOTA: timedelta(hours=1),
    # If a setting has to be fixed, here or there: soon enough afterwards.
    ReplyClass.CREDENTIALS: timedelta(minutes=15),
    ReplyClass.SENDER: timedelta(minutes=15),
}


# Recipients with an answer about us are tried after others: some servers blame us for one
# recipient.
RELAY_LATE = timedelta(seconds=1)
# Between checks whether our own limit has room again.
LIMIT_LOOK_GAP = timedelta(minutes=15)
# Between checks whether a full day has room again: `--drain` does not wait for that.
FULL_DAY_LOOK_GAP = LIMIT_LOOK_GAP + timedelta(minutes=1)
# So many broken conversations in a row are the relay's fault.
MAX_BREAKS = 3
# Messages that must succeed after trouble before one more connection is opened.
SUCCESSES_PER_CONNECTION = 50
# Workers that died while a message was in hand: then it fails, and kills no more of them.
MAX_DEATHS = 6


def retry_wait(kind: str, attempts: int, *, is_break: bool, is_about_mailbox: bool) -> timedelta:
    """Return the wait after so many failed attempts.

    After its first broken conversation there is none. An email that someone waits for is retried
    within a minute, unless the mailbox itself is the reason.
    """
    doublings = min(max(attempts - 1, 0), 10)
    wait = min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)
    if is_break and attempts == 1:
        wait = RETRY_AT_ONCE
    elif kind in TRANSACTIONAL and not is_about_mailbox:
        wait = TRANSACTIONAL_RETRY
    spread = random.uniform(*RETRY_SPREAD)
    return wait * spread


def life_of(kind: str) -> timedelta:
    """Return how long a message is tried, from when it was queued."""
    return GIVE_UP_AFTER.get(kind, GIVE_UP_AFTER["newsletter"])
