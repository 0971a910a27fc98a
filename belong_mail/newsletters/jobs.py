"""Jobs about newsletters, which they name by public id."""

from dataclasses import dataclass

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class FollowIssue(SealedJob, kind="follow-issue"):
    """Pause, resume or withdraw an issue's copies after a change of its state."""

    issue: str
    # The office's account that acted, and what it did, in a word; empty if a leader did.
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


@dataclass(frozen=True)
class TellDeclined(SealedJob, kind="tell-declined"):
    issue: str
    # Account of the leader who asked for the approval.
    asker: str
