"""The audit: what the relay took against the books of an issue."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from belong_mail.delivery.models import UNFINISHED, State
from tests.servers.desk import Accepted

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


def audit(
    books: Mapping[str, int], copies: Iterable[Copy], recipients: int, breaks: int = 0
) -> list[str]:
    """Return everything that is wrong, in sentences; an empty list is a clean audit.

    `breaks` are final dots whose answer may have been lost: each may cost one second copy.
    """
    by_recipient: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_recipient[copy.recipient].append(copy)
    wrong = imbalance(books, recipients)
    if left := {s.value: books[s] for s in UNFINISHED if books[s]}:
        wrong.append(f"At rest, something is still at work: {left}.")
    missing = recipients - len(by_recipient)
    if missing > books[State.UNCERTAIN]:
        wrong.append(f"LOST: {missing} got no copy: {books}.")
    if books[State.ACCEPTED] > len(by_recipient):
        wrong.append(f"{books[State.ACCEPTED]} accepted, {len(by_recipient)} had a copy.")
    return wrong + _doubled(books, by_recipient, breaks) + _unlike(by_recipient)


def imbalance(books: Mapping[str, int], recipients: int) -> list[str]:
    """Say what is wrong with the books at any moment."""
    total = sum(books[state.value] for state in State)
    wrong = [] if total == books["recipients"] else [f"The states add up to {total}: {books}."]
    if books["recipients"] != recipients:
        wrong.append(f"{books['recipients']} of {recipients} recipients are in the books.")
    return wrong + [f"{name} is {number}." for name, number in books.items() if number < 0]


def _doubled(
    books: Mapping[str, int], by_recipient: Mapping[str, list[Copy]], breaks: int
) -> list[str]:
    numbers = [len(copies) for copies in by_recipient.values()]
    extra = sum(numbers) - len(numbers)
    doubtful = books[State.UNCERTAIN] + books["resent"]
    wrong = []
    if extra > breaks:
        wrong.append(f"DOUBLED: {extra} copies too many after {breaks} breaks.")
    if max(numbers, default=0) > 2:
        wrong.append(f"Somebody got {max(numbers)} copies.")
    if extra > books["resent"]:
        wrong.append(f"HIDDEN: {extra} copies too many, {books['resent']} shown as resent.")
    if doubtful > breaks:
        wrong.append(f"{doubtful} uncertain or resent after {breaks} breaks.")
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
