"""The jobs of newsletters: what pages ask the worker to do about an issue, by its public id."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FollowIssue:
    """Its marks were changed: its copies follow, and its leaders hear what the office did."""

    KIND: ClassVar[str] = "follow-issue"

    issue: str
    # The office's account that did something, and what, in a word; empty: a leader did.
    by: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True)
class SendTestCopies:
    """Mail it as it is now to accounts that lead its group."""

    KIND: ClassVar[str] = "send-test-copies"

    issue: str
    readers: list[str]


@dataclass(frozen=True, slots=True)
class AskForApproval:
    """Ask its group's other leaders to approve it."""

    KIND: ClassVar[str] = "ask-for-approval"

    issue: str
