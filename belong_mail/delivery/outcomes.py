"""Turn a relay's reply into a delivery's next state, and the time of its next try."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from belong_mail.core.db import now
from belong_mail.delivery import retry
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.retry import RELAY_LATE, RELAY_RESTS, RETRY_AT_ONCE
from belong_mail.mail.phrases import known_phrase
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply

SENDER_FAULTS = {ReplyClass.HOST, ReplyClass.QUOTA, ReplyClass.CREDENTIALS, ReplyClass.SENDER}

# The attempts counter's maximum; every email expires before.
MAX_ATTEMPTS = 1000


STATES = {
    ReplyClass.ACCEPTED: State.ACCEPTED,
    ReplyClass.DEFER: State.DEFERRED,
    ReplyClass.REFUSED: State.BOUNCED,
    ReplyClass.FAIL: State.FAILED,
    ReplyClass.POLICY: State.FAILED,
    ReplyClass.CONTENT: State.FAILED,
}


# States in which a copy was sent, or may have been; it may still bounce.
HAS_LEFT = (State.ACCEPTED, State.UNCERTAIN)
# States of an email that was certainly not sent, and so never of one that was uncertain.
HAS_NOT_LEFT = (State.WITHDRAWN, State.SUPPRESSED, State.EXPIRED)
# SMTP steps in which an error may be this message's fault: it is deferred, and counted.
RECIPIENT_VERBS = {"RCPT", "DATA", "body", "DOT"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a try; `state` None leaves the state, as the message was not at fault."""

    state: State | None
    code: int | None = None
    enhanced: str = ""
    phrase: str = ""
    # The wait before a retry; None: as the state implies, or when the relay is used again.
    again: timedelta | None = None
    is_dot_sent: bool = False
    is_break: bool = False

    @property
    def is_about_us(self) -> bool:
        return self.state is None and self.code is not None

    @property
    def is_given_back(self) -> bool:
        """Whether no answer came, so that the delivery waits as before."""
        return self.state is None and self.code is None


ACCEPTED: Final = Outcome(State.ACCEPTED, 250, is_dot_sent=True)
# The connection broke after the final dot: a copy may have arrived.
LOST: Final = Outcome(State.UNCERTAIN, is_dot_sent=True)
GIVE_BACK: Final = Outcome(None)
# Given back because it waited too long, so its reader's membership must be checked again.
STALE: Final = Outcome(None)
DEADLY: Final = Outcome(State.FAILED, phrase="workers died at it")
# The database took too long to read the message's data, or a row was locked.
TOO_SLOW: Final = Outcome(State.DEFERRED)
UNWRITABLE: Final = Outcome(State.FAILED, phrase="cannot be written")


def outcome_of(reply: Reply) -> Outcome:
    """Return the outcome of a reply. The relay's own text is not kept: it may quote addresses."""
    verdict = classify_reply(reply)
    if verdict is ReplyClass.ACCEPTED:
        return ACCEPTED
    state = None if verdict in SENDER_FAULTS else STATES[verdict]
    is_dot_sent = reply.verb == "DOT"
    phrase = known_phrase(reply.text)
    return Outcome(state, reply.code, reply.enhanced, phrase, is_dot_sent=is_dot_sent)


def outcome_after_break(phase: str) -> Outcome:
    """Return the outcome of a connection that broke before the final dot."""
    return Outcome(State.DEFERRED, is_break=True) if phase in RECIPIENT_VERBS else GIVE_BACK


def may_concern_recipient(outcome: Outcome, reply: Reply) -> bool:
    """Return whether a refusal that blames us may be about this recipient only."""
    return outcome.is_about_us and reply.verb in RECIPIENT_VERBS and not relay_rest(reply)


def relay_rest(reply: Reply) -> timedelta:
    """Return how long the relay must be left alone after a reply that blames us."""
    return RELAY_RESTS.get(classify_reply(reply), RETRY_AT_ONCE)


def apply_outcome(
    delivery: Delivery,
    outcome: Outcome,
    uncertain: timedelta | None,
    rest_until: datetime | None = None,
) -> None:
    """Apply the outcome of a try; a refused second copy does not count as `resent`."""
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
            delivery.due_at += RELAY_LATE
        return
    delivery.state, delivery.is_dot_sent = outcome.state, outcome.is_dot_sent
    delivery.finished_at, delivery.due_at = at, None
    if outcome.state == State.DEFERRED:
        _schedule_retry(delivery, outcome, at)
    elif outcome.state == State.UNCERTAIN:
        _mark_uncertain(delivery, uncertain, at)
    if delivery.state in HAS_NOT_LEFT and delivery.lost_at is not None:
        delivery.state = State.UNCERTAIN


def apply_bounce(delivery: Delivery, code: int | None, enhanced: str, phrase: str) -> bool:
    """Record a bounce of a message that was sent; return whether the state changed.

    Keeps the time of its acceptance, which counts for that day's quota.
    """
    if delivery.state not in HAS_LEFT:
        return False
    delivery.state, delivery.due_at, delivery.claimed_by = State.BOUNCED, None, None
    delivery.code, delivery.enhanced, delivery.phrase = code, enhanced or None, phrase or None
    return True


def arrive_at(delivery: Delivery) -> None:
    """Mark an uncertain message as accepted."""
    if delivery.state == State.UNCERTAIN:
        delivery.state, delivery.due_at, delivery.claimed_by = State.ACCEPTED, None, None


def _before_try(delivery: Delivery) -> State:
    if delivery.lost_at is not None:
        return State.UNCERTAIN
    return State.DEFERRED if delivery.attempts else State.QUEUED


def _schedule_retry(delivery: Delivery, outcome: Outcome, at: datetime) -> None:
    """Schedule a retry, or expire the delivery if its time would be over by then."""
    # On SQLite an intruder in the web can write any number.
    delivery.attempts = min(max(delivery.attempts, 0), MAX_ATTEMPTS) + 1
    due_at = at + retry.retry_wait(
        delivery.kind,
        delivery.attempts,
        is_break=outcome.is_break,
        is_about_mailbox=outcome.enhanced.startswith("4.2.") or outcome.phrase == "greylisted",
    )
    if due_at > delivery.created_at + retry.life_of(delivery.kind):
        delivery.state = State.EXPIRED
    else:
        delivery.finished_at, delivery.due_at = None, due_at


def _mark_uncertain(delivery: Delivery, uncertain: timedelta | None, at: datetime) -> None:
    """Schedule an uncertain message's one retry: an issue's copy as configured, others at once."""
    delivery.lost_at = at
    if delivery.resent:
        return
    again = uncertain if delivery.newsletter_id else RETRY_AT_ONCE
    delivery.due_at = None if again is None else at + again
