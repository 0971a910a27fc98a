"""What the web asks the worker for, of newsletters, by their public ids."""

from dataclasses import dataclass

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class FollowIssue(SealedJob, kind="follow-issue"):
    """Says that an issue was changed: its copies follow its marks."""

    issue: str
    # The office's account that did something, and what, in a word; empty: a leader did.
    by: str = ""
    done: str = ""


@dataclass(frozen=True)
class SendTestCopies(SealedJob, kind="send-test-copies"):
    issue: str
    # Accounts that lead its group.
    readers: list[str]


@dataclass(frozen=True)
class AskForApproval(SealedJob, kind="ask-for-approval"):
    issue: str
