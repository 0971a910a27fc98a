"""Accounts and the groups they lead."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.core.db import Base, IdBase, PublicIdBase, now
from belong_mail.core.i18n import DEFAULT
from belong_mail.groups.models import Group


class Account(PublicIdBase):
    """The account of a lead, or of a person of the office.

    The address is wrapped like a member's.
    """

    __tablename__ = "accounts"

    address_index: Mapped[bytes] = mapped_column(unique=True)
    wrapped_address: Mapped[bytes]
    language: Mapped[str] = mapped_column(default=DEFAULT)
    # How the office calls this person, in its own words and in the clear.
    name: Mapped[str] = mapped_column(default="", server_default="")
    # Works for the office. An invitation to it counts from `office_since` and is none until then.
    is_office: Mapped[bool] = mapped_column(default=False)
    office_since: Mapped[datetime | None]
    office_ends_at: Mapped[datetime | None]
    office_reminded_at: Mapped[datetime | None]
    # Made where colleagues are invited, for this account: the worker believes it alone.
    wrapped_office: Mapped[bytes | None]
    # SHA-256 of the secret in the links of its invitations.
    invited_as: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def is_asked_for_office(self) -> bool:
        return self.office_since is not None and not self.is_office


class SignIn(PublicIdBase):
    """A mailed sign-in link: for ten minutes, for one browser, once."""

    __tablename__ = "sign_ins"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    # SHA-256 of what the asking browser keeps in its cookie.
    browser_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]


# However often they come back, a lead signs in again after that.
MAX_SESSION_AGE = timedelta(hours=12)


class BrowserSession(PublicIdBase):
    """A signed-in browser; it can be ended from here at any time."""

    __tablename__ = "browser_sessions"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    started_at: Mapped[datetime] = mapped_column(default=now)
    # When its owner last proved who they are, by signing in or later; None: an invitation began it.
    proven_at: Mapped[datetime | None]

    @property
    def last_end(self) -> datetime:
        """Return when it ends however often its browser comes back."""
        return self.started_at + MAX_SESSION_AGE


# A right ends after that, unless the office renews it.
RIGHT_AGE = timedelta(days=365)


class GroupLead(Base):
    """An account's right to write for a group, from when its owner has accepted the invitation.

    Until then nothing goes to the account because of it but the invitation.
    """

    __tablename__ = "group_leads"

    account_id: Mapped[int] = mapped_column(
        ForeignKey(Account.id, ondelete="CASCADE"), primary_key=True
    )
    group_id: Mapped[int] = mapped_column(
        ForeignKey(Group.id, ondelete="CASCADE"), primary_key=True, index=True
    )
    # When its owner was invited, the last time.
    since: Mapped[datetime] = mapped_column(default=now)
    accepted_at: Mapped[datetime | None]
    # None: it has no end, or was not accepted yet.
    ends_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    # Made where leads are invited, for this account and group: the worker believes it alone.
    wrapped_right: Mapped[bytes | None]


class Identity(IdBase):
    """The district's sign-in of an account; the worker alone adds and removes one."""

    __tablename__ = "identities"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), unique=True)
    # A keyed hash of issuer and subject: by it the web finds who has signed in.
    name: Mapped[bytes] = mapped_column(unique=True)
    # The provider's issuer and its opaque name for the person. The worker believes it alone.
    wrapped_subject: Mapped[bytes]
    linked_at: Mapped[datetime] = mapped_column(default=now)


class Passkey(PublicIdBase):
    """A public key that a device of an account's owner has made: with it they sign in."""

    __tablename__ = "passkeys"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    # The device's own, random name for it.
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    # COSE_Key, in CBOR (RFC 9052).
    public_key: Mapped[bytes]
    # The device's counter at the last use; devices that do not count say 0.
    counter: Mapped[int] = mapped_column(BigInteger)
    # How its owner calls it, in the clear.
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]
