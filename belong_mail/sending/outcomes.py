"""What became of a delivery: from a relay's reply to the next state and the next try."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from belong_mail.db import now
from belong_mail.mail.outcomes import Reply, Verdict, judge, known_phrase
from belong_mail.sending.models import Delivery, State

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=3)
GIVE_UP = {
    "newsletter": timedelta(hours=48),
    "confirm-subscription": timedelta(hours=24),
    "contact-message": timedelta(days=5),
    "introduce-member": timedelta(days=5),
}
"""How long a kind of message is tried; others as long as an issue."""
ABOUT_US = {Verdict.HOST, Verdict.QUOTA, Verdict.CREDENTIALS, Verdict.SENDER}
STATES = {
    Verdict.ACCEPTED: State.ACCEPTED,
    Verdict.DEFER: State.DEFERRED,
    Verdict.REFUSED: State.BOUNCED,
    Verdict.FAIL: State.FAILED,
    Verdict.POLICY: State.FAILED,
    Verdict.CONTENT: State.FAILED,
}
LEFT = (State.ACCEPTED, State.UNCERTAIN)
"""Of these a copy may be on its way, or come back."""
NOT_LEFT = (State.WITHDRAWN, State.SUPPRESSED, State.EXPIRED)
"""Never said of what was in doubt: not to send a second copy does not call the first one back."""
RESTS = {
    Verdict.QUOTA: timedelta(hours=1),
    Verdict.CREDENTIALS: timedelta(minutes=15),
    Verdict.SENDER: timedelta(minutes=15),
}
AT_ONCE = timedelta(0)
BEHIND = timedelta(seconds=1)
"""Who got an answer about us is tried after the others: some servers blame us for one recipient."""


ABOUT_ONE = {"RCPT", "DATA", "body", "DOT"}
"""Phases in which what goes wrong may be this message's fault: it is put off, and counted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state; None: as before the try, for it was not this message's fault."""

    state: State | None
    code: int | None = None
    enhanced: str = ""
    phrase: str = ""
    again: timedelta | None = None
    """When to try again; None: as the state has it, or as soon as the relay is to be used."""
    is_dot_sent: bool = False
    is_break: bool = False

    @property
    def is_about_us(self) -> bool:
        return self.state is None and self.code is not None


ACCEPTED: Final = Outcome(State.ACCEPTED, 250, is_dot_sent=True)
LOST: Final = Outcome(State.UNCERTAIN, is_dot_sent=True)
"""No answer came after the final dot: a copy may have arrived."""
GIVE_BACK: Final = Outcome(None)
DEADLY: Final = Outcome(State.FAILED, phrase="workers died at it")
UNWRITABLE: Final = Outcome(State.FAILED, phrase="cannot be written")


def of(reply: Reply) -> Outcome:
    """Judge a reply. The relay's own words are not kept: they quote addresses."""
    verdict = judge(reply)
    if verdict is Verdict.ACCEPTED:
        return ACCEPTED
    state = None if verdict in ABOUT_US else STATES[verdict]
    is_dot_sent = reply.verb == "DOT"
    phrase = known_phrase(reply.text)
    return Outcome(state, reply.code, reply.enhanced, phrase, is_dot_sent=is_dot_sent)


def after_break(phase: str) -> Outcome:
    """Judge a conversation that broke before the final dot."""
    return Outcome(State.DEFERRED, is_break=True) if phase in ABOUT_ONE else GIVE_BACK


def may_be_about_one(outcome: Outcome, reply: Reply) -> bool:
    """Tell whether what sounds as if about us may be about a recipient: a server's odd refusal."""
    return outcome.is_about_us and reply.verb in ABOUT_ONE and not rest(reply)


def rest(reply: Reply) -> timedelta:
    """Return how long a reply about us asks to be left alone."""
    return RESTS.get(judge(reply), AT_ONCE)


def write(
    delivery: Delivery,
    outcome: Outcome,
    uncertain: timedelta | None,
    rest_until: datetime | None = None,
) -> None:
    """Write an outcome into a delivery that we hold; a copy that was refused is no second copy."""
    at = now()
    delivery.claimed_by = None
    delivery.code = outcome.code
    delivery.enhanced = outcome.enhanced or None
    delivery.phrase = outcome.phrase or None
    if outcome.code is not None:
        delivery.resent = delivery.deaths = 0
    elif outcome.is_dot_sent and delivery.lost_at is not None:
        delivery.resent = 1
    if outcome.state is None:
        delivery.state, delivery.finished_at = _before_try(delivery), delivery.lost_at
        delivery.due_at = at + outcome.again if outcome.again else rest_until or at
        if outcome.is_about_us:
            delivery.due_at += BEHIND
        return
    delivery.state, delivery.is_dot_sent = outcome.state, outcome.is_dot_sent
    delivery.finished_at, delivery.due_at = at, None
    if outcome.state == State.DEFERRED:
        _put_off(delivery, at, is_break=outcome.is_break)
    elif outcome.state == State.UNCERTAIN:
        _doubt(delivery, uncertain, at)
    if delivery.state in NOT_LEFT and delivery.lost_at is not None:
        delivery.state = State.UNCERTAIN


def bounce(delivery: Delivery, code: int | None, enhanced: str, phrase: str) -> bool:
    """Write down that a message came back after all; tell whether that is news.

    The moment in which the relay took it stays, for its day was counted then.
    """
    if delivery.state not in LEFT:
        return False
    delivery.state, delivery.due_at, delivery.claimed_by = State.BOUNCED, None, None
    delivery.code, delivery.enhanced, delivery.phrase = code, enhanced or None, phrase or None
    return True


def arrive(delivery: Delivery) -> None:
    """Write down that a message whose answer was lost is known to have arrived."""
    if delivery.state == State.UNCERTAIN:
        delivery.state, delivery.due_at, delivery.claimed_by = State.ACCEPTED, None, None


def _before_try(delivery: Delivery) -> State:
    if delivery.lost_at is not None:
        return State.UNCERTAIN
    return State.DEFERRED if delivery.attempts else State.QUEUED


def _put_off(delivery: Delivery, at: datetime, *, is_break: bool) -> None:
    """Try again later, twice as long each time; after the kind's life it has expired.

    After its first broken conversation it is tried again at once.
    """
    delivery.attempts += 1
    wait = min(FIRST_RETRY * 2 ** min(delivery.attempts - 1, 10), LONGEST_RETRY)
    if is_break and delivery.attempts == 1:
        wait = AT_ONCE
    due_at = at + wait * random.uniform(0.8, 1.2)
    life = GIVE_UP.get(delivery.kind, GIVE_UP["newsletter"])
    if due_at > delivery.created_at + life:
        delivery.state = State.EXPIRED
    else:
        delivery.finished_at, delivery.due_at = None, due_at


def _doubt(delivery: Delivery, uncertain: timedelta | None, at: datetime) -> None:
    """An issue waits for its setting, other mail is sent again; nothing is sent a third time."""
    delivery.lost_at = at
    if delivery.resent:
        return
    again = uncertain if delivery.newsletter_id else AT_ONCE
    delivery.due_at = None if again is None else at + again
