"""Jobs about leads and the office; they name accounts by public id."""

from dataclasses import dataclass

from belong_mail.core.jobs import SealedJob


@dataclass(frozen=True)
class SendSignInLink(SealedJob, kind="sign-in", looks_up=True):
    """Job: send a link to sign in; says which browser and source asked."""

    address: str
    language: str
    # SHA-256, in hexadecimal, of the asking browser's cookie.
    browser_hash: str
    source: str = ""
    # Proof that the account has signed in in this browser before; see `is_known_browser`.
    known_as: str = ""


@dataclass(frozen=True)
class SendProofLink(SealedJob, kind="proof"):
    """Job: send a link by which a signed-in person proves who they are."""

    account: str
    # Public id of the browser session that it is for.
    session: str
    language: str


@dataclass(frozen=True)
class TellPasskeyChanged(SealedJob, kind="passkey-changed"):
    account: str
    # “added” or “removed”.
    what: str


@dataclass(frozen=True)
class LinkIdentity(SealedJob, kind="link-identity"):
    """Job: link the district's sign-in to an account."""

    account: str
    # Public id of the browser session that stays signed in.
    browser_session: str
    issuer: str
    subject: str


@dataclass(frozen=True)
class LetIn(SealedJob, kind="let-in"):
    """Job: switch someone back to emailed links."""

    by: str
    account: str


@dataclass(frozen=True)
class InviteColleague(SealedJob, kind="invite-colleague", looks_up=True):
    """Job: invite someone for the office, to rights (`Right.place`)."""

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
    """Job: rights (`Right.place`) were accepted."""

    account: str
    rights: list[str]
    # Secret of the emailed link.
    secret: str


@dataclass(frozen=True)
class EndRight(SealedJob, kind="right-removed"):
    """Job: a right (`Right.place`) was ended by the office, or by its own leader."""

    by: str
    account: str
    right: str
