"""The audit trail: who did what, when, in which session, to which group, newsletter or account.

An entry is added in the transaction of the change. Pages and commands set the session's actor at
its beginning; the default is the worker.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, event, func
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, object_session

from belong_mail.core.db import Base, IdBase, PublicIdBase
from belong_mail.core.translatable import gettext_noop

# An entry's detail is an id or a slug, never an address or anyone's words.
DETAIL = re.compile(r"[A-Za-z0-9_-]{0,64}")
_ACTOR: Final = "audit.actor"
_CHANGED: Final = "audit.changed"
_RECORDED: Final = "audit.recorded"


class Kind(StrEnum):
    """The kinds of entries. Values are stored and never change; the office sees them translated."""

    SIGNED_IN = gettext_noop("signed in")
    SIGN_IN_REFUSED = gettext_noop("sign-in refused")
    PROOF_ASKED = "link to confirm identity asked for"
    SIGNED_OUT = gettext_noop("signed out")
    IDENTITY_LINKED = gettext_noop("district sign-in linked")
    PASSKEY_ADDED = gettext_noop("passkey added")
    PASSKEY_REMOVED = gettext_noop("passkey removed")
    LET_IN_ASKED = gettext_noop("emailed links asked for")
    LET_IN = gettext_noop("sign-in by email allowed")
    WRITTEN = gettext_noop("newsletter written")
    RELEASED = gettext_noop("newsletter sent or scheduled")
    APPROVAL_ASKED = gettext_noop("second OK asked for")
    APPROVED = gettext_noop("newsletter approved")
    APPROVAL_DECLINED = gettext_noop("second OK declined")
    UNDONE = gettext_noop("newsletter taken back")
    PAUSED = gettext_noop("newsletter paused")
    RESUMED = gettext_noop("newsletter resumed")
    STOPPED = gettext_noop("newsletter stopped")
    HELD = "newsletter held for an OK"
    TEST_SENT = gettext_noop("newsletter test sent")
    DRAFT_DELETED = gettext_noop("draft deleted")
    TEMPLATE_SAVED = gettext_noop("newsletter template saved")
    PAGE_CHANGED = gettext_noop("group page changed")
    QUESTION_ADDED = gettext_noop("question added")
    QUESTION_REMOVED = gettext_noop("question removed")
    MEETING_ADDED = gettext_noop("meeting added")
    MEETING_CHANGED = gettext_noop("meeting changed")
    MEETING_CANCELLED = gettext_noop("meeting canceled")
    MEETING_DAY_CHANGED = gettext_noop("meeting day changed")
    MEETING_DAY_CANCELLED = gettext_noop("meeting day canceled")
    MEETING_DAY_RESTORED = gettext_noop("meeting day restored")
    MAILBOX_PROPOSED = gettext_noop("shared inbox suggested")
    MAILBOX_CONFIRMED = gettext_noop("shared inbox confirmed")
    MAILBOX_REMOVED = gettext_noop("shared inbox removed")
    INVITATION_ASKED = gettext_noop("invitation asked for")
    LEAD_INVITED = gettext_noop("group leader invited")
    LEAD_ACCEPTED = gettext_noop("group leader accepted")
    LEAD_REMOVED = gettext_noop("group leader removed")
    LEAD_STOPPED = gettext_noop("stopped leading")
    UNDO_STOP_ASKED = "return of a leader who stopped asked for"
    OFFICE_INVITED = gettext_noop("office colleague invited")
    OFFICE_REMOVED = gettext_noop("office colleague removed")
    OFFICE_ACCEPTED = gettext_noop("office colleague accepted")
    INVITED_AGAIN = gettext_noop("invited again")
    INVITATION_WITHDRAWN = gettext_noop("invitation withdrawn")
    RIGHT_RENEWED = gettext_noop("role renewed")
    RIGHT_ENDED = gettext_noop("role ended")
    PERSON_RENAMED = gettext_noop("name given")
    SESSIONS_ENDED = gettext_noop("sessions ended")
    GROUP_ADDED = gettext_noop("group added")
    GROUP_LAUNCHED = gettext_noop("group launched")
    GROUP_CHANGED = gettext_noop("group changed")
    GROUP_RENAMED = gettext_noop("group renamed")
    GROUP_MARKED = gettext_noop("group marked as discreet")
    GROUP_UNMARKED = gettext_noop("group no longer marked as discreet")
    PERSONAL_ALLOWED = gettext_noop("personal addresses allowed in a group")
    PERSONAL_ENDED = gettext_noop("personal addresses no longer allowed in a group")
    GROUP_MOVED = gettext_noop("group moved in the list")
    GROUP_END_SET = gettext_noop("end of a group set")
    GROUP_RESTORED = gettext_noop("group restored")
    GROUP_EMPTIED = gettext_noop("memberships of a group deleted")
    GROUP_RETIRED = gettext_noop("group ended")
    THREAD_ANSWERED = gettext_noop("message answered")
    MESSAGES_RESENT = gettext_noop("undelivered messages sent again")
    HOLD_RELEASED = gettext_noop("hold ended")
    BOUNCES_ACCEPTED = gettext_noop("bounces accepted")
    BOUNCES_UNDONE = gettext_noop("bounces undone")
    RETRY_ASKED = gettext_noop("waiting email tried again")
    ADDRESS_REMOVED = gettext_noop("address removed from group")
    ADDRESS_BARRED = gettext_noop("address barred from group")
    ADDRESS_LET_IN = gettext_noop("address let into group again")
    IMPORTED = gettext_noop("list of addresses imported")
    IMPORT_STOPPED = gettext_noop("import of addresses stopped")
    SETTING_CHANGED = gettext_noop("setting changed")
    COMMAND_RUN = gettext_noop("command run")


class Role(StrEnum):
    ACCOUNT = "account"
    OPERATOR = "operator"
    WORKER = "worker"
    NOBODY = "nobody"


class AuditEntry(IdBase):
    """An entry. It has ids and slugs instead of references, so that it outlives their rows.

    Entries are only added; the worker alone deletes them, after `AUDIT_AGE`. Rights of the web's
    role (PostgreSQL) and triggers (SQLite) allow no more.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        CheckConstraint("role IN ('account', 'operator', 'worker', 'nobody')", name="role"),
        Index("ix_audit_entries_group_slug_id", "group_slug", "id"),
    )

    # Set by the database's clock: the web's role may not write this column.
    at: Mapped[datetime] = mapped_column(server_default=func.current_timestamp(), index=True)
    kind: Mapped[str]
    role: Mapped[str]
    # Public ids of the account that acted, and of its session.
    actor: Mapped[str | None]
    browser_session: Mapped[str | None]
    group_slug: Mapped[str | None]
    # Public ids of the newsletter and the account that were acted on.
    newsletter: Mapped[str | None] = mapped_column(index=True)
    account: Mapped[str | None]
    detail: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of a transaction: an account by its public id, or a role."""

    role: Role
    account: str | None = None
    browser_session: str | None = None


WORKER = Actor(Role.WORKER)
OPERATOR = Actor(Role.OPERATOR)
NOBODY = Actor(Role.NOBODY)


def set_actor(session: Session, actor: Actor) -> None:
    session.info[_ACTOR] = actor


def actor_of(session: Session) -> Actor:
    actor: Actor = session.info.get(_ACTOR, WORKER)
    return actor


class UnrecordedChange(Exception):
    """A page of leaders or the office changed something without an audit entry."""


def watch(session: Session) -> None:
    """Note from now on whether a session changes anything, for `has_gap`."""
    event.listen(session, "after_flush", _note_objects)
    event.listen(session, "do_orm_execute", _note_statement)


def has_gap(session: Session) -> bool:
    """Return whether a watched session has changed something without an audit entry."""
    session.flush()
    return _CHANGED in session.info and _RECORDED not in session.info


def recorded(session: Session) -> list[str]:
    """Return the kinds recorded in this session, in order."""
    kinds: list[str] = session.info.get(_RECORDED, [])
    return kinds


def _note_objects(session: Session, _context: object) -> None:
    changed = [each for each in session.dirty if session.is_modified(each)]
    touched = (*session.new, *changed, *session.deleted)
    if any(not isinstance(each, AuditEntry) for each in touched):
        session.info[_CHANGED] = True


def _note_statement(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[_CHANGED] = True


def record(
    session: Session,
    kind: Kind,
    *,
    actor: PublicIdBase | None = None,
    browser_session: PublicIdBase | None = None,
    group: Any = None,
    newsletter: Any = None,
    account: PublicIdBase | None = None,
    detail: str = "",
) -> None:
    """Add an entry in this transaction, by `actor` or else the session's actor.

    A group is stored by its slug, and need not be given beside its newsletter. `detail` is an id or
    the name of a setting. Raises ValueError if it could be an address or a text.
    """
    if not DETAIL.fullmatch(detail):
        raise ValueError("The audit trail keeps ids and slugs, and no words.")
    acting = actor_of(session)
    if actor is not None:
        acting = Actor(Role.ACCOUNT, actor.public_id, _id_of(browser_session))
    if newsletter is not None:
        group = newsletter.group
    entry = AuditEntry(
        kind=kind,
        role=acting.role,
        actor=acting.account,
        browser_session=acting.browser_session,
        group_slug=None if group is None else group.slug,
        newsletter=_id_of(newsletter),
        account=_id_of(account),
        detail=detail or None,
    )
    session.add(entry)
    session.info.setdefault(_RECORDED, []).append(kind.name.lower())


def record_of(row: Base, kind: Kind, group: Any, detail: str = "") -> None:
    """Add an entry in the transaction of a row; do nothing if the row is in no session."""
    session = object_session(row)
    if session is not None:
        record(session, kind, group=group, detail=detail)


def _id_of(row: PublicIdBase | None) -> str | None:
    return None if row is None else row.public_id
