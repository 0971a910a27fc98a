"""Jobs about a group's shared mailbox."""

from dataclasses import dataclass

from belong_mail.core.jobs import JobKind, SealedJob


@dataclass(frozen=True)
class ProposeMailbox(SealedJob, kind="propose-mailbox", looks_up=True):
    """Job: propose another mailbox for a group; names it and its lead by public id."""

    group: str
    lead: str
    address: str
    language: str


@dataclass(frozen=True)
class ConfirmMailbox(SealedJob, kind="confirm-mailbox"):
    # The proposal's public id, and the secret of one of its links.
    proposal: str
    secret: str


class RemoveMailbox(JobKind, kind="remove-mailbox"):
    """Job: remove the mailbox, so that everything goes to the office."""
