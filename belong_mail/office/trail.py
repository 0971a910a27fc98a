"""Search the audit trail for the office's page, newest entries first."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.core.audit import AuditEntry, Kind, Role
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.release import IS_NO_DRAFT

ENTRIES_A_PAGE = 50
# Characters of a short reference to an account or session.
REFERENCE_LENGTH = 6


# Names of authors without an account.
ROLES: dict[str, str] = {
    Role.OPERATOR: gettext_noop("An operator, on the server"),
    Role.WORKER: gettext_noop("The system"),
    Role.NOBODY: gettext_noop("Someone who wasn’t signed in"),
}
# Kinds that are said in other words than those that are stored.
REWORDED: dict[str, str] = {
    Kind.HELD: gettext_noop("newsletter not sent as scheduled"),
    Kind.PROOF_ASKED: gettext_noop("asked to confirm who they are"),
    Kind.UNDO_STOP_ASKED: gettext_noop("asked to let a leader who stopped lead again"),
}
# Details that the page shows; ids are left out.
DETAILS = {
    "late": gettext_noop("more than an hour late"),
    "unapproved": gettext_noop("without a second OK"),
    "unfit": gettext_noop("something in it has to change first"),
    "passkey": gettext_noop("with a passkey"),
    "district": gettext_noop("with a district account"),
    "link": gettext_noop("by an emailed link"),
    "invitation": gettext_noop("by accepting an invitation"),
    "undo": gettext_noop("undone"),
    "a-few": gettext_noop("a few"),
    "video_url": gettext_noop("Link to the office’s video"),
    "help_lines": gettext_noop("Help lines"),
    "postal_address": gettext_noop("Postal address below each email"),
    "discreet_words": gettext_noop("Words of discreet groups"),
    "approval-auto": gettext_noop("A second leader’s OK"),
    "approval-always": gettext_noop("A second leader’s OK"),
    "approval-never": gettext_noop("A second leader’s OK"),
    "has-passkey": gettext_noop("This account uses a passkey"),
    "other-browser": gettext_noop("in another browser"),
    "other-session": gettext_noop("in another browser"),
    "too-often": gettext_noop("too often"),
}


def reference(public_id: str | None) -> str:
    """Return a short hash that refers to an account or session without revealing its id."""
    if not public_id:
        return ""
    digest = hashlib.sha256(f"reference/{public_id}".encode()).digest()
    return base64.b32encode(digest).decode()[:REFERENCE_LENGTH]


def find(
    session: Session,
    zone: ZoneInfo,
    before: int | None = None,
    *,
    group: str = "",
    kind: str = "",
    since: date | None = None,
    until: date | None = None,
) -> tuple[list[AuditEntry], int | None]:
    """Return a page of entries, newest first, and the id before which the next starts, or None."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(ENTRIES_A_PAGE + 1)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if group:
        query = query.where(AuditEntry.group_slug == group)
    if kind:
        query = query.where(AuditEntry.kind == kind)
    if since:
        query = query.where(AuditEntry.at >= _midnight(since, zone))
    if until:
        query = query.where(AuditEntry.at < _midnight(until + timedelta(days=1), zone))
    found = list(session.scalars(query))
    shown = found[:ENTRIES_A_PAGE]
    return shown, shown[-1].id if len(found) > len(shown) else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def groups_in(session: Session) -> dict[str, str]:
    """Return names by slug of groups in the trail or the directory, including retired ones."""
    names = {row.slug: row.name for row in session.execute(select(Group.slug, Group.name))}
    told = select(AuditEntry.group_slug).where(AuditEntry.group_slug.is_not(None)).distinct()
    return {slug or "": slug or "" for slug in session.scalars(told)} | names


def accounts_in(session: Session, entries: Iterable[AuditEntry]) -> dict[str, str]:
    """Return the names by public id of the accounts in entries; "" for one without a name."""
    told = {each for entry in entries for each in (entry.actor, entry.account) if each}
    rows = session.execute(
        select(Account.public_id, Account.name).where(Account.public_id.in_(told))
    )
    return dict.fromkeys(told, "") | {row.public_id: row.name for row in rows}


def readable(session: Session, entries: Iterable[AuditEntry]) -> set[str]:
    """Return which of the entries' newsletters the office may open: those that are not drafts."""
    named = {each.newsletter for each in entries if each.newsletter}
    found = select(Newsletter.public_id).where(Newsletter.public_id.in_(named), IS_NO_DRAFT)
    return set(session.scalars(found))
