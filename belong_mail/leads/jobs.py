"""Jobs about a group's shared mailbox."""

from dataclasses import dataclass

from belong_mail.core.jobs import JobKind, SealedJob


@dataclass(frozen=True)
class ProposeMailbox(SealedJob, kind="propose-mailbox", looks_up=True):
    """Propose a mailbox for a group; group and leader are public ids."""

    group: str
    lead: str
    address: str
    language: str


@dataclass(frozen=True)
class ConfirmMailbox(SealedJob, kind="confirm-mailbox"):
    # The proposal's public id, and the secret in one of its links.
    proposal: str
    secret: str


class RemoveMailbox(JobKind, kind="remove-mailbox"):
    """Remove a group's mailbox."""
