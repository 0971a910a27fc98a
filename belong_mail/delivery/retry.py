"""Policy of retries: when a delivery is retried, for how long, and how long the relay rests."""

import random
from datetime import timedelta

from belong_mail.mail.smtp.replies import ReplyClass

# The first wait after a temporary refusal; each further wait is twice as long. Most greylisting
# accepts a message after five minutes; a server that was down at night is tried often enough in the
# morning.
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=3)
# The factors between which each wait varies at random, so that retries spread out.
RETRY_SPREAD = (0.8, 1.2)
# The wait after a first broken connection, or after a single email's answer was lost.
RETRY_AT_ONCE = timedelta(0)


# Kinds of email that someone has just asked for and waits for.
TRANSACTIONAL = (
    "sign-in",
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


# Sends each of them within a minute of the relay's return.
TRANSACTIONAL_RETRY = timedelta(seconds=45)


# How long a kind of message is tried; kinds not listed have an issue's time.
GIVE_UP_AFTER = {
    # Two days, for a server that is down over a weekend.
    "newsletter": timedelta(hours=48),
    # People look for it on the same day, and can send the form again.
    "confirm-subscription": timedelta(hours=24),
    # The link works for three days after the email was queued.
    "invited-to-confirm": timedelta(hours=24),
    "invited-to-confirm-again": timedelta(hours=24),
    # How long people look for a link that they asked for.
    "sign-in": timedelta(hours=1),
    # Half of the time for which the code works.
    "staff-code": timedelta(hours=1),
    # The sender would not write it again: RFC 5321, section 4.5.4.1, asks for four to five days.
    "contact-message": timedelta(days=5),
    "introduce-member": timedelta(days=5),
    "invitation": timedelta(days=5),
}


# Between attempts while the relay does not answer; short, because someone may wait for a link.
RELAY_DOWN_REST = timedelta(minutes=1)


# The same while the relay answers but refuses everything.
RELAY_RESTS = {
    # The reply named a limit: limits are by the hour or by the day.
    ReplyClass.QUOTA: timedelta(hours=1),
    # A setting has to be fixed, here or at the relay; it is used soon after that.
    ReplyClass.CREDENTIALS: timedelta(minutes=15),
    ReplyClass.SENDER: timedelta(minutes=15),
}


# The delay of a recipient whose refusal blamed us, so that others go first: some servers blame us
# for a single bad recipient.
RELAY_LATE = timedelta(seconds=1)
# Between checks whether our own sending limit has room again.
LIMIT_LOOK_GAP = timedelta(minutes=15)
# The same when the day's quota is used up; longer, so that `--drain` does not wait for it.
FULL_DAY_LOOK_GAP = LIMIT_LOOK_GAP + timedelta(minutes=1)
# So many broken connections in a row count as the relay's fault.
MAX_BREAKS = 3
# Messages that must succeed after a failure before one more connection is opened.
SUCCESSES_PER_CONNECTION = 50
# How many workers may die while sending one message; then it fails, so that it kills no more.
MAX_DEATHS = 6


def retry_wait(kind: str, attempts: int, *, is_break: bool, is_about_mailbox: bool) -> timedelta:
    """Return the wait after so many failed attempts.

    It is zero after the first broken connection. An email that someone waits for is retried within
    a minute, unless the reply was about the mailbox itself.
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
    """Return how long a message is tried, counted from when it was queued."""
    return GIVE_UP_AFTER.get(kind, GIVE_UP_AFTER["newsletter"])
