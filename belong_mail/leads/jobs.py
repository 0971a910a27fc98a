"""The web's jobs for the worker about a group's shared mailbox."""

from dataclasses import dataclass

from belong_mail.core.jobs import JobKind, SealedJob


@dataclass(frozen=True)
class ProposeMailbox(SealedJob, kind="propose-mailbox", looks_up=True):
    """Names another mailbox for a group; it and its lead by their public ids."""

    group: str
    lead: str
    address: str
    language: str


@dataclass(frozen=True)
class ConfirmMailbox(SealedJob, kind="confirm-mailbox"):
    # The public id of the proposal, and the secret of one of its links.
    proposal: str
    secret: str


class RemoveMailbox(JobKind, kind="remove-mailbox"):
    """Lets everything go to the office."""
