"""The web's jobs for the worker about members, and about people who want to be one."""

from dataclasses import dataclass, field

from belong_mail.core.jobs import JobKind, SealedJob


@dataclass(frozen=True)
class Signup(SealedJob):
    """A sign-up, as a person typed it into a group's form."""

    address: str
    language: str
    first_name: str = ""
    is_introduced: bool = False
    # Question and answer, as the person read them.
    answers: list[list[str]] = field(default_factory=list)
    # The public id of the group: under the seal, so that what was typed for one joins no other.
    group: str = ""
    # The code that proves staff, for a personal address, and the page that it was typed on.
    code: str = ""
    nonce: str = ""
    # Names where the form came from, by a keyed hash, for the limits.
    source: str = field(default="", compare=False)


class Join(Signup, kind="join", looks_up=True):
    """Asks to join."""


class JoinByCode(Signup, kind="join-personal", looks_up=True):
    """Asks to join with a personal address, by a code that proves staff."""


class WaitForGroup(Signup, kind="interest", looks_up=True):
    """Asks to hear when a group starts."""


@dataclass(frozen=True)
class SendStaffCode(SealedJob, kind="staff-code", looks_up=True):
    """Asks for a code, for a group and the page to type it on."""

    address: str
    language: str
    # The public id of the group: it stands under the seal alone.
    group: str
    nonce: str
    source: str


@dataclass(frozen=True)
class FinishConfirmation(SealedJob, kind="granted"):
    """Says which confirmation link was pressed, and whether that began a membership."""

    confirm_id: str
    is_new: bool


class NeverMail(JobKind, kind="never-mail", looks_up=True):
    """Says that the owner of the row's membership wants no email any more."""


@dataclass(frozen=True)
class RemoveAddress(SealedJob, kind="office-removal", looks_up=True):
    """One address that the office types: taken out of a group, barred from it, or let in again."""

    group: str
    address: str
    # One of `members.service.RECORDED`.
    what: str


@dataclass(frozen=True)
class _Typed(SealedJob):
    """An address that anyone may have typed."""

    address: str
    language: str


class SendMyGroups(_Typed, kind="my-groups", looks_up=True):
    """Wants the link to one's groups."""


class SendEmailAgain(_Typed, kind="email-again", looks_up=True):
    """Wants the link that lifts “never email me”."""


@dataclass(frozen=True)
class Lift(SealedJob, kind="lift"):
    """Hands on what such a link holds."""

    permission: str


@dataclass(frozen=True)
class ForList(SealedJob):
    """Concerns a whole list of memberships."""

    # The list, in base64, as the worker wrapped it.
    slip: str
    language: str


class SendCopy(ForList, kind="my-copy"):
    """Wants a copy of what is held."""


class Erase(ForList, kind="erase"):
    """Wants all of it deleted."""


@dataclass(frozen=True)
class ChangeAddress(ForList, kind="change-address", looks_up=True):
    """Wants the groups at another address."""

    new: str


@dataclass(frozen=True)
class MoveAddress(SealedJob, kind="move-address"):
    """Confirms such a change, named by its public id."""

    change: str
