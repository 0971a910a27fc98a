"""Find a group's past newsletters, and begin a draft from one."""

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from belong_mail.core.db import new_public_id
from belong_mail.groups.models import Group
from belong_mail.newsletters.models import Flyer, Image, Newsletter

# Newsletters on a page of the list.
PAGE_SIZE = 20
# Texts that are in memory at once while words are looked for.
ROWS_AT_ONCE = 50
# What a copy of a picture, and of a flyer, has of it.
PICTURE = ("description", "media_type", "content", "width", "height")
FLYER = ("title", "content", "size", "pages", "is_tagged")


@dataclass(frozen=True, slots=True)
class Search:
    """Which past newsletters are wanted: all of these words, from one day to another, local."""

    words: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class PastPage:
    """One page of what was found; pages are counted from 1."""

    issues: list[Newsletter]
    number: int
    page: int
    pages: int


def find_past(
    session: Session, group: Group, wanted: Search, zone: ZoneInfo, page: int = 1
) -> PastPage:
    """Find a group's issues that have gone out, the last one first.

    Words are compared without case and accents, in every language. The database could not: it
    keeps texts as JSON, where it writes “é” as a number.
    """
    found = select(Newsletter.id, Newsletter.subject, Newsletter.preheader, Newsletter.text).where(
        Newsletter.group_id == group.id, Newsletter.queued_at.is_not(None), *_days(wanted, zone)
    )
    in_turn = found.order_by(Newsletter.queued_at.desc(), Newsletter.id.desc())
    words = plain(wanted.words).split()
    if words:
        rows = session.execute(in_turn.execution_options(yield_per=ROWS_AT_ONCE))
        ids = [row[0] for row in rows if _says(row, words)]
    else:
        ids = list(session.scalars(in_turn.with_only_columns(Newsletter.id)))
    pages = max(1, -(-len(ids) // PAGE_SIZE))
    page = min(max(page, 1), pages)
    shown = ids[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    loaded = select(Newsletter).where(Newsletter.id.in_(shown)).options(defer(Newsletter.text))
    by_id = {each.id: each for each in session.scalars(loaded)}
    return PastPage([by_id[each] for each in shown], len(ids), page, pages)


def plain(words: str) -> str:
    """Return words as they are compared: without case and accents."""
    parts = unicodedata.normalize("NFKD", words.casefold())
    return "".join(each for each in parts if not unicodedata.combining(each))


def _days(wanted: Search, zone: ZoneInfo) -> list[Any]:
    """Select what went out on these days, local."""
    chosen = []
    if wanted.since:
        chosen.append(Newsletter.queued_at >= datetime.combine(wanted.since, time(), zone))
    if wanted.until:
        over = datetime.combine(wanted.until + timedelta(days=1), time(), zone)
        chosen.append(Newsletter.queued_at < over)
    return chosen


def _says(row: Any, words: list[str]) -> bool:
    said = plain("\n".join(text for by_code in row[1:] for text in by_code.values()))
    return all(word in said for word in words)


def duplicate(session: Session, issue: Newsletter, *, is_template: bool = False) -> Newsletter:
    """Begin a draft, or a template, with an issue's words, pictures and flyers, and no more."""
    draft = Newsletter(
        group=issue.group,
        subject=dict(issue.subject),
        preheader=dict(issue.preheader),
        text={},
        is_template=is_template,
    )
    session.add(draft)
    session.flush()
    text = dict(issue.text)
    for image in issue.images:
        copied = Image(public_id=new_public_id(), **_copied(image, draft, PICTURE))
        session.add(copied)
        was, becomes = f"picture:{image.public_id}", f"picture:{copied.public_id}"
        text = {code: words.replace(was, becomes) for code, words in text.items()}
    draft.text = text
    session.add_all([Flyer(**_copied(flyer, draft, FLYER)) for flyer in issue.flyers])
    session.flush()
    return draft


def _copied(file: Image | Flyer, draft: Newsletter, columns: tuple[str, ...]) -> dict[str, Any]:
    return {"newsletter_id": draft.id, **{name: getattr(file, name) for name in columns}}
