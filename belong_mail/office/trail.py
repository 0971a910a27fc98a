"""The audit trail as the office reads it: filtered, the newest first, and as a file for tables."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.core.audit import AuditEntry
from belong_mail.groups.models import Group
from belong_mail.newsletters.models import Newsletter
from belong_mail.office.service import require_office

ENTRIES_A_PAGE = 50
# Lines of a file: many years of entries, and no more than memory bears.
MAX_LINES = 50_000
# Characters of what names an account, or a session, in few letters.
REFERENCE_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the trail somebody looks for; empty is everything."""

    group: str = ""
    kind: str = ""
    account: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Found:
    entries: list[AuditEntry]
    # The entry with which the next page begins; None: this is the last one.
    older: int | None


def reference(public_id: str | None) -> str:
    """Name an account or a session in six letters and digits, which are not its id."""
    if not public_id:
        return ""
    digest = hashlib.sha256(f"reference/{public_id}".encode()).digest()
    return base64.b32encode(digest).decode()[:REFERENCE_LENGTH]


def find(
    session: Session, account: Account, wanted: Wanted, zone: ZoneInfo, before: int | None = None
) -> Found:
    """List a page of the trail, the newest first. Raises NotFound."""
    require_office(account)
    query = _matching(wanted, zone).limit(ENTRIES_A_PAGE + 1)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    entries = list(session.scalars(query))
    shown = entries[:ENTRIES_A_PAGE]
    return Found(shown, shown[-1].id if len(entries) > len(shown) else None)


def find_all(
    session: Session, account: Account, wanted: Wanted, zone: ZoneInfo
) -> Iterable[AuditEntry]:
    """List what is looked for, the newest first. Raises NotFound."""
    require_office(account)
    return session.scalars(_matching(wanted, zone).limit(MAX_LINES))


def _matching(wanted: Wanted, zone: ZoneInfo) -> Select[Any]:
    query = select(AuditEntry).order_by(AuditEntry.id.desc())
    if wanted.group:
        query = query.where(AuditEntry.group_slug == wanted.group)
    if wanted.kind:
        query = query.where(AuditEntry.kind == wanted.kind)
    if wanted.account:
        is_theirs = (AuditEntry.actor == wanted.account) | (AuditEntry.account == wanted.account)
        query = query.where(is_theirs)
    if wanted.since:
        query = query.where(AuditEntry.at >= _midnight(wanted.since, zone))
    if wanted.until:
        query = query.where(AuditEntry.at < _midnight(wanted.until + timedelta(days=1), zone))
    return query


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def groups_in(session: Session, account: Account) -> dict[str, str]:
    """Name the groups of the trail and of the directory, retired ones too. Raises NotFound."""
    require_office(account)
    names = {row.slug: row.name for row in session.execute(select(Group.slug, Group.name))}
    told = select(AuditEntry.group_slug).where(AuditEntry.group_slug.is_not(None)).distinct()
    return {slug or "": slug or "" for slug in session.scalars(told)} | names


def accounts_in(session: Session, account: Account) -> dict[str, str]:
    """Name the accounts of the trail and those that there are; without a name: "".

    Raises NotFound.
    """
    require_office(account)
    acted = select(AuditEntry.actor).where(AuditEntry.actor.is_not(None))
    concerned = select(AuditEntry.account).where(AuditEntry.account.is_not(None))
    told = dict.fromkeys(filter(None, session.scalars(acted.union(concerned))), "")
    rows = session.execute(select(Account.public_id, Account.name))
    return told | {row.public_id: row.name for row in rows}


def readable(session: Session, entries: Iterable[AuditEntry]) -> set[str]:
    """Name the newsletters of entries that the office can still open: drafts it cannot."""
    named = {each.newsletter for each in entries if each.newsletter}
    found = select(Newsletter.public_id).where(
        Newsletter.public_id.in_(named),
        Newsletter.queued_at.is_not(None)
        | Newsletter.due_at.is_not(None)
        | Newsletter.held_at.is_not(None),
    )
    return set(session.scalars(found))
