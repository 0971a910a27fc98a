"""Jobs about members and people who want to join."""

from dataclasses import dataclass, field

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class Signup(SealedJob):
    """A person's input to a group's form."""

    address: str
    language: str
    first_name: str = ""
    is_introduced: bool = False
    # Pairs of question and answer, as the person saw them.
    answers: list[list[str]] = field(default_factory=list)
    # The group's public id, sealed, so that the sign-up is valid for no other group.
    group: str = ""
    # For a personal address: the staff code, and the nonce of the page it was typed on.
    code: str = ""
    nonce: str = ""
    # A keyed hash of the form's source, for rate limits.
    source: str = field(default="", compare=False)


class Join(Signup, kind="join", looks_up=True):
    """Join a group."""


class JoinByCode(Signup, kind="join-personal", looks_up=True):
    """Join with a personal address and a staff code."""


class WaitForGroup(Signup, kind="interest", looks_up=True):
    """Notify this address when a group starts."""


@dataclass(frozen=True)
class SendStaffCode(SealedJob, kind="staff-code", looks_up=True):
    address: str
    language: str
    # The group's public id, sealed and stored nowhere else.
    group: str
    nonce: str
    source: str


@dataclass(frozen=True)
class FinishConfirmation(SealedJob, kind="granted"):
    """Finish a confirmation, by the secret of its link."""

    secret: str


@dataclass(frozen=True)
class NeverMail(SealedJob, kind="never-mail"):
    """Suppress the address of this membership, at its owner's request."""

    # The secret of a link that was emailed to them.
    secret: str


@dataclass(frozen=True)
class RemoveAddress(SealedJob, kind="office-removal", looks_up=True):
    """Remove, bar or let in an address, for the office."""

    group: str
    address: str
    # One of `members.service.RECORDED`.
    what: str


@dataclass(frozen=True)
class SendMyGroups(SealedJob, kind="my-groups", looks_up=True):
    """Email the link to “My groups”, or the one that lifts a suppression."""

    address: str
    language: str


@dataclass(frozen=True)
class Lift(SealedJob, kind="lift"):
    """Lift a suppression by the permission in an emailed link."""

    permission: str


@dataclass(frozen=True)
class ForList(SealedJob):
    """Base of jobs about all memberships in a manage session."""

    # The permit in base64: the list as the worker wrapped it.
    slip: str
    language: str


class SendCopy(ForList, kind="my-copy"):
    """Email a copy of the person's data."""


class Erase(ForList, kind="erase"):
    """Erase the person's data."""


@dataclass(frozen=True)
class ChangeAddress(ForList, kind="change-address", looks_up=True):
    """Ask a new address to confirm that it replaces the old one."""

    new: str


@dataclass(frozen=True)
class MoveAddress(SealedJob, kind="move-address"):
    """Move memberships to a confirmed new address, by the secret of its link."""

    secret: str
