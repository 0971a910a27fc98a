"""The web's jobs for the worker about members, and about people who want to join."""

from dataclasses import dataclass, field

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class Signup(SealedJob):
    """A sign-up, as a person typed it into a group's form."""

    address: str
    language: str
    first_name: str = ""
    is_introduced: bool = False
    # Question and answer, as the person saw them.
    answers: list[list[str]] = field(default_factory=list)
    # The group's public id, under the seal, so that a sign-up counts for no other group.
    group: str = ""
    # For a personal address: the code that proves staff, and the page it was typed on.
    code: str = ""
    nonce: str = ""
    # A keyed hash of where the form came from, for the limits.
    source: str = field(default="", compare=False)


class Join(Signup, kind="join", looks_up=True):
    """Job: join a group."""


class JoinByCode(Signup, kind="join-personal", looks_up=True):
    """Job: join with a personal address and a code that proves staff."""


class WaitForGroup(Signup, kind="interest", looks_up=True):
    """Job: notify this address when a group starts."""


@dataclass(frozen=True)
class SendStaffCode(SealedJob, kind="staff-code", looks_up=True):
    """Job: send a code, for a group and the page to type it on."""

    address: str
    language: str
    # The group's public id; it stands under the seal only.
    group: str
    nonce: str
    source: str


@dataclass(frozen=True)
class FinishConfirmation(SealedJob, kind="granted"):
    """Job: a confirmation was confirmed; says which, and whether it began a membership."""

    confirm_id: str
    is_new: bool


@dataclass(frozen=True)
class NeverMail(SealedJob, kind="never-mail"):
    """Job: the owner of this membership wants no email any more."""

    # The secret of an email to them.
    secret: str


@dataclass(frozen=True)
class RemoveAddress(SealedJob, kind="office-removal", looks_up=True):
    """Job: take an address that the office typed out of a group, bar it, or let it in again."""

    group: str
    address: str
    # One of `members.service.RECORDED`.
    what: str


@dataclass(frozen=True)
class _Typed(SealedJob):
    """Base of jobs with an address that anyone may have typed."""

    address: str
    language: str


class SendMyGroups(_Typed, kind="my-groups", looks_up=True):
    """Job: send the link to “My groups”."""


class SendEmailAgain(_Typed, kind="email-again", looks_up=True):
    """Job: send the link that lifts “never email me”."""


@dataclass(frozen=True)
class Lift(SealedJob, kind="lift"):
    """Job: lift “never email me”, by the permission in such a link."""

    permission: str


@dataclass(frozen=True)
class ForList(SealedJob):
    """Base of jobs about a person's whole list of memberships."""

    # The permit, in base64: the list as the worker wrapped it.
    slip: str
    language: str


class SendCopy(ForList, kind="my-copy"):
    """Job: send a copy of what is held."""


class Erase(ForList, kind="erase"):
    """Job: delete all of it."""


@dataclass(frozen=True)
class ChangeAddress(ForList, kind="change-address", looks_up=True):
    """Job: move the memberships to another address."""

    new: str


@dataclass(frozen=True)
class MoveAddress(SealedJob, kind="move-address"):
    """Job: a change of address was confirmed, by the secret of the new mailbox's link."""

    secret: str
