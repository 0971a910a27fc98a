"""Tables of accounts, their sessions, sign-in links, rights, identities and passkeys."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from belong_mail.core.db import IdBase, Language, PublicIdBase, now
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.models import Group

# The kind of email that invites to rights.
INVITATION = "invitation"


class Account(PublicIdBase):
    """The account of a leader, or of someone who works for the office.

    Its address is wrapped as a member's is.
    """

    __tablename__ = "accounts"

    address_index: Mapped[bytes] = mapped_column(unique=True)
    wrapped_address: Mapped[bytes]
    language: Mapped[str] = mapped_column(Language, default=DEFAULT)
    # The name that the office gave this person, unencrypted.
    name: Mapped[str] = mapped_column(default="", server_default="")
    # Hash of the secret in the newest invitation's link.
    invited_as: Mapped[str | None] = mapped_column(unique=True)


class SignIn(PublicIdBase):
    """An emailed link to sign in: for ten minutes, in one browser, once."""

    __tablename__ = "sign_ins"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    # SHA-256 of the secret in the browser's cookie.
    browser_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]


# A session ends after this time, however active.
MAX_SESSION_AGE = timedelta(hours=12)


class BrowserSession(PublicIdBase):
    """A signed-in browser, which can be signed out from any other."""

    __tablename__ = "browser_sessions"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    started_at: Mapped[datetime] = mapped_column(default=now)
    # When its owner signed in; None if an invitation's link began the session, or the district's
    # provider, without asking.
    proven_at: Mapped[datetime | None]

    @property
    def last_end(self) -> datetime:
        """Return when the session ends, however active."""
        return self.started_at + MAX_SESSION_AGE


# How long a right lasts unless the office renews it.
RIGHT_AGE = timedelta(days=365)
# How long the office can undo that someone gave a right up. Shorter than `INVITATION_AGE`, when
# `end_invitations` would delete the account, too.
UNDO_STOP = timedelta(days=7)


# `Right.place` of rights to work for the office.
OFFICE = "office"
_OF_OFFICE = text("group_id IS NULL")


class Right(IdBase):
    """An account's right to lead a group or, without one, to work for the office.

    It has no effect until its owner has accepted the invitation.
    """

    __tablename__ = "rights"
    __table_args__ = (
        UniqueConstraint("account_id", "group_id"),
        Index("ix_rights_of_office", "account_id", unique=True, sqlite_where=_OF_OFFICE),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(
        ForeignKey(Group.id, ondelete="CASCADE"), index=True
    )
    # When its owner was last invited, or the office heard that it was renewed.
    since: Mapped[datetime] = mapped_column(default=now)
    # None: not accepted, removed or given up.
    accepted_at: Mapped[datetime | None]
    # Within a year, if accepted. If not accepted: its holder gave it up, and until then the office
    # can undo that.
    ends_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    # Proof for this account and group, which alone the worker trusts.
    wrapped_proof: Mapped[bytes | None]
    # Whether the newest invitation could not be delivered; only the worker writes these columns.
    is_undelivered: Mapped[bool | None] = column_property(
        select(Delivery.state.in_((State.BOUNCED, State.FAILED, State.EXPIRED)))
        .where(
            Delivery.newsletter_id.is_(None),
            Delivery.account_id == account_id,
            Delivery.kind == INVITATION,
        )
        .order_by(Delivery.created_at.desc())
        .limit(1)
        .scalar_subquery(),
        deferred=True,
    )

    person: Mapped[Account] = relationship()
    group: Mapped[Group | None] = relationship()

    @property
    def place(self) -> str:
        """Return the public id of the group that it is for, or OFFICE."""
        return self.group.public_id if self.group else OFFICE

    @property
    def key(self) -> str:
        """Return an id that is unique among rights, whatever public id the web gives a group."""
        return f"{self.person.public_id}/{self.place}" if self.group else self.person.public_id

    @property
    def is_pending(self) -> bool:
        return self.accepted_at is None

    @property
    def has_stopped(self) -> bool:
        """Return whether the row says that its holder gave it up; the proof is not read."""
        return self.is_pending and self.ends_at is not None

    @property
    def works_until(self) -> datetime:
        """Return when the link of an open invitation expires."""
        return self.since + timedelta(seconds=Purpose.INVITATION.max_age or 0)

    @property
    def is_over(self) -> bool:
        return self.ends_at is not None and self.ends_at <= now()

    @property
    def counts(self) -> bool:
        return not (self.is_pending or self.is_over)


class Identity(IdBase):
    """An account's identity at the district's provider; only the worker writes rows."""

    __tablename__ = "identities"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), unique=True)
    # Keyed hash of issuer and subject, by which the web finds the account.
    name: Mapped[bytes] = mapped_column(unique=True)
    # Issuer and subject, which alone the worker trusts.
    wrapped_subject: Mapped[bytes]
    linked_at: Mapped[datetime] = mapped_column(default=now)


class Passkey(PublicIdBase):
    """A public key of an authenticator with which the account's owner signs in."""

    __tablename__ = "passkeys"

    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    # The authenticator's random id for it.
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    # COSE_Key, in CBOR (RFC 9052).
    public_key: Mapped[bytes]
    # The authenticator's signature counter at the last use; 0 if it does not count.
    counter: Mapped[int] = mapped_column(BigInteger)
    # Its owner's name for it, unencrypted.
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]
