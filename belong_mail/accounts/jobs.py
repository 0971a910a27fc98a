"""Jobs about accounts, which are named by public id."""

from dataclasses import dataclass

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class SendSignInLink(SealedJob, kind="sign-in", looks_up=True):
    address: str
    language: str
    # SHA-256, in hexadecimal, of the secret in the browser's cookie.
    browser_hash: str
    source: str = ""
    # Proof that the account has signed in in this browser before (`signing_in.is_known_browser`).
    known_as: str = ""


@dataclass(frozen=True)
class SignInAgain(SealedJob, kind="sign-in-again"):
    """Email a link to a signed-in account: the web knows it, so this is no lookup."""

    account: str
    language: str
    browser_hash: str
    source: str
    known_as: str


@dataclass(frozen=True)
class TellPasskeyChanged(SealedJob, kind="passkey-changed"):
    account: str
    # "added" or "removed".
    what: str


@dataclass(frozen=True)
class LinkIdentity(SealedJob, kind="link-identity"):
    account: str
    # Public id of the session that is not ended.
    browser_session: str
    issuer: str
    subject: str


@dataclass(frozen=True)
class LetIn(SealedJob, kind="let-in"):
    """Return someone to emailed links."""

    by: str
    account: str


@dataclass(frozen=True)
class InviteColleague(SealedJob, kind="invite-colleague", looks_up=True):
    """Invite someone for the office; `rights` are values of `Right.place`."""

    by: str
    name: str
    address: str
    language: str
    rights: list[str]


@dataclass(frozen=True)
class InviteAgain(SealedJob, kind="invite-again"):
    by: str
    account: str


@dataclass(frozen=True)
class AcceptRights(SealedJob, kind="right-accepted"):
    """Record accepted rights, as values of `Right.place`."""

    account: str
    rights: list[str]
    # The secret of the emailed link.
    secret: str


@dataclass(frozen=True)
class EndRight(SealedJob, kind="right-removed"):
    """End a right (a value of `Right.place`), for the office or for its holder."""

    by: str
    account: str
    right: str


@dataclass(frozen=True)
class RestoreRight(SealedJob, kind="right-restored"):
    """Undo, for the office, that a holder gave a right up."""

    by: str
    account: str
    right: str
