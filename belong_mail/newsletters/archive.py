"""Search a group's sent newsletters, and create drafts from them or from the group's template."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.core.db import new_public_id
from belong_mail.core.i18n import NAMES, LocalizedText
from belong_mail.groups.models import Group
from belong_mail.mail.message.plain_words import plain
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Flyer, Image, Newsletter

# Newsletters on a page of the list.
PAGE_SIZE = 20
# Newsletters in memory at once during a search.
ROWS_AT_ONCE = 50
# Columns that are copied with a picture or flyer.
PICTURE = ("description", "media_type", "content", "width", "height")
FLYER = ("title", "content", "size", "pages", "is_tagged")
# Meetings inserted into an issue.
MEETINGS = 4


def find_past(session: Session, group: Group, words: str = "", page: int = 1) -> dict[str, Any]:
    """Return a page of a group's sent issues that contain all of these words, newest first.

    Ignores case and accents, which SQL could not: texts are stored as JSON with escaped letters.
    """
    gone = select(Newsletter).where(
        Newsletter.group_id == group.id, Newsletter.queued_at.is_not(None)
    )
    in_turn = gone.order_by(Newsletter.queued_at.desc(), Newsletter.id.desc())
    issues = session.scalars(in_turn.execution_options(yield_per=ROWS_AT_ONCE))
    wanted = plain(words).split()
    found = [each for each in issues if _says(each, wanted)]
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(max(page, 1), pages)
    shown = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return {"issues": shown, "number": len(found), "page": page, "pages": pages}


def _says(issue: Newsletter, words: list[str]) -> bool:
    texts = (issue.subject, issue.preheader, issue.text)
    said = plain("\n".join(text for by_code in texts for text in by_code.values()))
    return all(word in said for word in words)


def duplicate(session: Session, issue: Newsletter, *, is_template: bool = False) -> Newsletter:
    """Create a draft, or a template, with an issue's words, pictures and flyers."""
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


TEMPLATE = (
    select(Newsletter)
    .where(Newsletter.group_id == bindparam("group_id"), Newsletter.is_template)
    .order_by(Newsletter.id.desc())
    .limit(1)
)


def template_of(session: Session, group: Group) -> Newsletter | None:
    """Find a group's template; of two that were saved at once, the later."""
    return session.scalar(TEMPLATE, {"group_id": group.id})


def save_as_template(session: Session, issue: Newsletter) -> Newsletter:
    """Store a copy of a draft as its group's template, replacing the one before."""
    found = select(Newsletter).where(Newsletter.group_id == issue.group_id, Newsletter.is_template)
    for before in session.scalars(found).all():
        session.delete(before)
    template = duplicate(session, issue, is_template=True)
    audit.record(session, audit.Kind.TEMPLATE_SAVED, group=issue.group)
    session.flush()
    return template


def start(session: Session, group: Group, *, with_template: bool) -> Newsletter:
    """Create a draft from the group's template, or find or create an empty one."""
    template = template_of(session, group) if with_template else None
    if template is not None:
        return duplicate(session, template)
    empty = filter(_is_empty, newsletters.latest(session, group))
    return next(empty, None) or newsletters.start_draft(session, group)


def _is_empty(issue: Newsletter) -> bool:
    """Return whether an issue is a draft without words and files."""
    has_words = issue.subject or issue.preheader or issue.text
    return newsletters.is_draft(issue) and not (has_words or issue.images or issue.flyers)


def next_meetings(session: Session, group: Group, zone: ZoneInfo, at: datetime) -> LocalizedText:
    """Return a text about a group's next meetings, in each language; empty if there are none."""
    found = meetings.next_held(session, zone, at, MEETINGS, group)
    return {code: formatting.meeting_markdown(found, code) for code in NAMES if found}
