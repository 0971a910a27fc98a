"""Jobs of leads and the office; they name accounts by their public ids."""

from dataclasses import dataclass

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class SendSignInLink(SealedJob, kind="sign-in", looks_up=True):
    """Asks for a link to sign in; says from which browser and source it was asked."""

    address: str
    language: str
    # In hexadecimal: SHA-256 of what the asking browser keeps in its cookie.
    browser_hash: str
    source: str = ""
    # A proof that the account has signed in in this browser before; see `is_known_browser`.
    known_as: str = ""


@dataclass(frozen=True)
class SendProofLink(SealedJob, kind="proof"):
    """Asks for a link by which a signed-in person proves who they are."""

    account: str
    # The public id of the browser session that it is for.
    session: str
    language: str


@dataclass(frozen=True)
class TellPasskeyChanged(SealedJob, kind="passkey-changed"):
    account: str
    # “added” or “removed”.
    what: str


@dataclass(frozen=True)
class LinkIdentity(SealedJob, kind="link-identity"):
    """Asks to link the district's sign-in to an account."""

    account: str
    # The public id of the browser session that stays signed in.
    browser_session: str
    issuer: str
    subject: str


@dataclass(frozen=True)
class LetIn(SealedJob, kind="let-in"):
    """Asks to switch somebody back to emailed links."""

    by: str
    account: str


@dataclass(frozen=True)
class InviteColleague(SealedJob, kind="invite-colleague", looks_up=True):
    """An invitation by the office, to lead groups (public ids) or to work for the office."""

    by: str
    name: str
    address: str
    language: str
    groups: list[str]
    office: bool


@dataclass(frozen=True)
class InviteAgain(SealedJob, kind="invite-again"):
    by: str
    account: str


@dataclass(frozen=True)
class AcceptRights(SealedJob, kind="right-accepted"):
    """Accepted rights: groups, by their public ids, and the office."""

    account: str
    groups: list[str]
    office: bool
    # The secret of the emailed link.
    secret: str


@dataclass(frozen=True)
class EndRights(SealedJob, kind="right-removed"):
    """Rights that the office, or their own leader, has ended."""

    by: str
    account: str
    groups: list[str]
    office: bool
