"""Find groups; add, order, launch and retire them."""

import re
from datetime import datetime, timedelta
from unicodedata import normalize

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session, load_only

from belong_mail.core import audit
from belong_mail.core.db import lock_for_change, now
from belong_mail.core.i18n import DEFAULT
from belong_mail.groups import seeds
from belong_mail.groups.models import MOST_NAMES, NAME_CHARACTERS, Group, Question

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SLUG_LENGTH = 60
# Districts whose groups `db upgrade --seed` can add.
SEEDS = ("dps",)
# Seeded groups that a new database marks as discreet.
DISCREET = ("lgbtq", "people-with-disabilities", "autoimmune")


class InvalidSlug(Exception):
    """The slug is taken, or is not lower-case letters, digits and single hyphens."""


class GroupHasEnded(Exception):
    """The group is retired: no one can join it, and it sends nothing."""


class GroupIsEnding(GroupHasEnded):
    """The group has an end: no one can join it."""


def require_not_ending(group: Group) -> None:
    """Raise GroupHasEnded or GroupIsEnding if a group takes no new members."""
    if group.has_ended(now()):
        raise GroupHasEnded
    if group.is_ending:
        raise GroupIsEnding


def lock(session: Session, group: Group) -> None:
    """Lock a group for update, and read it again."""
    found = lock_for_change(session, select(Group).where(Group.id == group.id))
    session.scalar(found.execution_options(populate_existing=True))


def find_unless_ended(session: Session, slug: str) -> Group | None:
    """Find a group by its slug. Raises GroupHasEnded for a retired one."""
    found = find_of_any_age(session, slug)
    if found is not None and found.retired_at is not None:
        raise GroupHasEnded
    return found


def find(session: Session, slug: str) -> Group | None:
    """Find a group by its slug, unless it is retired."""
    found = find_of_any_age(session, slug)
    return found if found is None or found.retired_at is None else None


BY_SLUG = select(Group).where(Group.slug == bindparam("slug"))


def find_of_any_age(session: Session, slug: str) -> Group | None:
    """Find a group by its slug, even a retired one."""
    if not SLUG.fullmatch(slug):
        return None
    return session.scalar(BY_SLUG, {"slug": slug})


def by_id(session: Session, number: int) -> Group | None:
    """Find a group that is not retired by its id, which posters have in their URL."""
    return session.scalar(select(Group).where(Group.id == number, Group.retired_at.is_(None)))


def by_public_id(session: Session, public_id: str) -> Group | None:
    """Find a group that is not retired by its public id."""
    found = select(Group).where(Group.public_id == public_id, Group.retired_at.is_(None))
    return session.scalar(found)


def slug_for(name: str) -> str:
    """Return the slug of a name: “Café & Té” becomes “cafe-te”."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall("[a-z0-9]+", plain))[:SLUG_LENGTH].strip("-")


# Only the columns that lists show: for ten groups, the others would take most of a page's time.
LISTED = (
    select(Group)
    .where(Group.retired_at.is_(None))
    .order_by(Group.position)
    .options(
        load_only(
            Group.public_id, Group.slug, Group.name, Group.summary, Group.note, Group.position,
            Group.established_at, Group.ends_at, Group.retired_at, Group.allows_personal_addresses,
        )
    )
)  # fmt: skip


def listed(session: Session) -> list[Group]:
    """List the groups that are not retired, in the directory's order."""
    return list(session.scalars(LISTED))


def listed_ended(session: Session) -> list[Group]:
    """List the retired groups, the last retired first."""
    found = select(Group).where(Group.retired_at.is_not(None)).order_by(Group.retired_at.desc())
    return list(session.scalars(found))


def add(session: Session, slug: str, name: str, summary: str, *, is_upcoming: bool) -> Group:
    """Add a group at the end of the directory. Raises InvalidSlug."""
    if not SLUG.fullmatch(slug) or session.scalar(select(Group).where(Group.slug == slug)):
        raise InvalidSlug(slug)
    last = session.scalar(select(func.max(Group.position))) or 0
    group = Group(
        slug=slug,
        name=name,
        summary={DEFAULT: summary} if summary else {},
        position=last + 1,
        established_at=None if is_upcoming else now(),
        known_names=[name],
    )
    session.add(group)
    session.flush()
    audit.record(session, audit.Kind.GROUP_ADDED, group=group)
    return group


def is_name_free(session: Session, name: str, besides: Group | None = None) -> bool:
    """Return whether no listed group has this name, ignoring case."""
    others = (each for each in listed(session) if besides is None or each.id != besides.id)
    return name.casefold() not in {each.name.casefold() for each in others}


def move(session: Session, group: Group, to: str) -> None:
    """Move a listed group one place "up" or "down", or to the "top"; do nothing at the ends."""
    in_order = listed(session)
    positions = [each.position for each in in_order]
    at = in_order.index(group) if group in in_order else -1
    place = {"up": at - 1, "down": at + 1, "top": 0}.get(to, at)
    if at < 0 or place == at or not 0 <= place < len(in_order):
        return
    in_order.insert(place, in_order.pop(at))
    for each, position in zip(in_order, positions, strict=True):
        each.position = position
    audit.record(session, audit.Kind.GROUP_MOVED, group=group)
    session.flush()


def note_names(session: Session) -> None:
    """Add new names to `known_names`: no subject may contain one, even after a renaming."""
    named = select(Group).options(load_only(Group.name, Group.known_names))
    for group in session.scalars(named):
        name, known = group.name[:NAME_CHARACTERS], group.known_names
        # Only the first ones: the web could invent a name each minute.
        if name not in known and len(known) < MOST_NAMES:
            group.known_names = [*known, name]


# How long a launch can be undone, before people who wait for the group are notified.
UNDO_LAUNCH = timedelta(hours=1)


class AlreadyLaunched(Exception):
    """The group is not upcoming: it was launched before, or is retired."""


def launch(group: Group) -> None:
    """Launch an upcoming group, so that people can join. Raises AlreadyLaunched.

    People who wait for it are notified after UNDO_LAUNCH.
    """
    if group.established_at is not None or group.is_ending:
        raise AlreadyLaunched
    group.established_at = now()
    audit.record_of(group, audit.Kind.GROUP_LAUNCHED, group)


def launch_undo_until(group: Group) -> datetime | None:
    """Return until when a group's launch can be undone, or None.

    Groups that were open from the beginning had no launch.
    """
    if group.established_at is None or group.is_ending:
        return None
    if group.established_at <= group.created_at:
        return None
    until = group.established_at + UNDO_LAUNCH
    return until if until > now() else None


def undo_launch(group: Group) -> None:
    """Undo a group's launch. Raises AlreadyLaunched if it is too late.

    People who have joined meanwhile stay members.
    """
    if launch_undo_until(group) is None:
        raise AlreadyLaunched
    group.established_at = None
    audit.record_of(group, audit.Kind.GROUP_LAUNCHED, group, detail="undo")


def mark_retired(session: Session, group: Group) -> None:
    """Remove a group from the directory; no one can join it, and nothing is sent to it.

    Its queued email is withdrawn by `newsletters.release.retire`, or skipped when rendered.
    """
    group.retired_at = now()
    audit.record(session, audit.Kind.GROUP_RETIRED, group=group)
    session.flush()


# The text columns of a seeded group.
WORDS = ("summary", "mission", "activities", "audience", "note")


def seed(session: Session) -> bool:
    """Add DPS's groups to a database without groups; return whether it had none."""
    if session.scalar(select(func.count(Group.id))):
        return False
    for place, said in enumerate(seeds.GROUPS, 1):
        group = Group(
            slug=said["slug"],
            name=said["name"],
            position=place,
            established_at=None if said.get("is_upcoming") else now(),
            is_discreet=said["slug"] in DISCREET,
            known_names=[said["name"]],
            **{name: said.get(name, {}) for name in WORDS},
        )
        for position, question in enumerate(said.get("questions", ()), 1):
            group.questions.append(Question(position=position, **{"options": [], **question}))
        session.add(group)
    return True
