"""The audit: what the relay took against the books of an issue."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from belong_mail.delivery.models import State
from tests.servers.desk import Accepted

AT_WORK = (State.QUEUED, State.SENDING, State.DEFERRED)
EXPLAINED = (
    State.BOUNCED, State.FAILED, State.SUPPRESSED, State.WITHDRAWN, State.EXPIRED, State.UNCERTAIN,
)  # fmt: skip


MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Copy:
    """One message that was taken for one recipient."""

    recipient: str
    return_path: str
    message_id: str
    # SHA-256 of the message's bytes.
    digest: str = ""
    at: float = 0.0

    @classmethod
    def of(cls, taken: Accepted) -> "Copy":
        found = MESSAGE_ID.search(taken.data)
        message_id = found[1].decode("ascii", "replace") if found else ""
        digest = hashlib.sha256(taken.data).hexdigest()
        return cls(taken.recipient, taken.return_path, message_id, digest, taken.at)


@dataclass(frozen=True)
class Expected:
    """Possible results of a run."""

    recipients: int
    # Final dots whose answer may have been lost: each may cost one second copy, and no more.
    breaks: int = 0
    # Members who may have no copy.
    without: frozenset[str] = frozenset()
    is_at_rest: bool = True


def audit(books: Mapping[str, int], copies: Iterable[Copy], expected: Expected) -> list[str]:
    """Return everything that is wrong, in sentences; an empty list is a clean audit."""
    by_recipient: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_recipient[copy.recipient].append(copy)
    wrong = [*_unbalanced(books, expected)]
    wrong += _lost(books, by_recipient, expected)
    wrong += _doubled(books, by_recipient, expected)
    return wrong + _unlike(by_recipient)


def imbalance(books: Mapping[str, int], recipients: int) -> list[str]:
    """Say what is wrong with the books at any moment."""
    total = sum(books[state.value] for state in State)
    wrong = [] if total == books["recipients"] else [f"The states add up to {total}: {books}."]
    if books["recipients"] != recipients:
        wrong.append(f"{books['recipients']} of {recipients} recipients are in the books.")
    return wrong + [f"{name} is {number}." for name, number in books.items() if number < 0]


def _unbalanced(books: Mapping[str, int], expected: Expected) -> list[str]:
    wrong = imbalance(books, expected.recipients)
    if expected.is_at_rest and (left := {s.value: books[s] for s in AT_WORK if books[s]}):
        wrong.append(f"At rest, something is still at work: {left}.")
    return wrong


def _lost(
    books: Mapping[str, int], by_recipient: Mapping[str, list[Copy]], expected: Expected
) -> list[str]:
    wrong = []
    missing = expected.recipients - len(by_recipient)
    explained = sum(books[state] for state in EXPLAINED)
    if expected.is_at_rest and missing > explained:
        wrong.append(f"LOST: {missing} got no copy and {explained} are explained: {books}.")
    if books[State.ACCEPTED] > len(by_recipient):
        wrong.append(f"{books[State.ACCEPTED]} accepted, {len(by_recipient)} had a copy.")
    may_lack = len(expected.without) + books[State.UNCERTAIN]
    if expected.is_at_rest and missing > may_lack:
        wrong.append(f"LOST: {missing} got no copy; only {may_lack} may lack one.")
    if both := sorted(expected.without & by_recipient.keys()):
        wrong.append(f"A copy went to {', '.join(both)}, who were refused or had left.")
    return wrong


def _doubled(
    books: Mapping[str, int], by_recipient: Mapping[str, list[Copy]], expected: Expected
) -> list[str]:
    numbers = [len(copies) for copies in by_recipient.values()]
    extra = sum(numbers) - len(numbers)
    doubtful = books[State.UNCERTAIN] + books["resent"]
    wrong = []
    if extra > expected.breaks:
        wrong.append(f"DOUBLED: {extra} copies too many after {expected.breaks} breaks.")
    if max(numbers, default=0) > 2:
        wrong.append(f"Somebody got {max(numbers)} copies.")
    if extra > books["resent"]:
        wrong.append(f"HIDDEN: {extra} copies too many, {books['resent']} shown as resent.")
    if doubtful > expected.breaks:
        wrong.append(f"{doubtful} uncertain or resent after {expected.breaks} breaks.")
    return wrong


def _unlike(by_recipient: Mapping[str, list[Copy]]) -> list[str]:
    """Compare second copies with the first, and one recipient's with all others'."""
    wrong = []
    names: dict[str, str] = {}
    for recipient, copies in by_recipient.items():
        if len({(copy.message_id, copy.digest, copy.return_path) for copy in copies}) > 1:
            wrong.append(f"The second copy to {recipient} is another message.")
        if not copies[0].message_id:
            wrong.append(f"The message to {recipient} has no Message-ID.")
        wrong += [
            f"{recipient} and {names[name]} share {name}."
            for name in (copies[0].message_id, copies[0].return_path)
            if names.setdefault(name, recipient) != recipient
        ]
    return wrong
