"""Prepare groups for display in one language."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from belong_mail.core.i18n import DEFAULT, LocalizedText, TextIn
from belong_mail.groups.models import PHONE, Group


@dataclass(frozen=True, slots=True)
class GroupView:
    """The public data of a group, in one language."""

    slug: str
    name: str
    summary: str
    note: str
    hue: int
    is_upcoming: bool
    # A time on its last day, if it has an end.
    last_day: datetime | None
    # Whether staff may join with a personal address.
    allows_personal_addresses: bool


def group_view(group: Group, language: str) -> GroupView:
    return GroupView(
        slug=group.slug,
        name=TextIn(group.name, DEFAULT),
        summary=localized(group.summary, language),
        note=localized(group.note, language),
        hue=(group.id - 1) % 10 + 1,
        is_upcoming=group.established_at is None,
        last_day=last_moment(group.ends_at),
        allows_personal_addresses=group.allows_personal_addresses,
    )


def last_moment(end: datetime | None) -> datetime | None:
    """Return the second before an end, as an end at midnight is shown as the day before."""
    return end and end - timedelta(seconds=1)


def page_view(group: Group, language: str) -> dict[str, Any]:
    """Return the template variables of a group's page."""
    return {
        "group": group_view(group, language),
        "audience": localized(group.audience, language),
        "mission": _split(localized(group.mission, language), r"\n\s*\n"),
        "activities": _split(localized(group.activities, language), r"\r?\n"),
        "resources": [
            {
                "title": localized(each["title"], language),
                "url": each["url"],
                # The phone number as people read it; "" for a link.
                "phone": each["url"].removeprefix(PHONE) if each["url"].startswith(PHONE) else "",
            }
            for each in group.resources
        ],
    }


def localized(words: LocalizedText | None, language: str) -> TextIn:
    """Return a text in a language, else in the default; "" if there is none.

    The text knows its language, so that templates can mark it by `|lang_attr`.
    """
    words = words or {}
    if words.get(language):
        return TextIn(words[language], language)
    return TextIn(words.get(DEFAULT, ""), DEFAULT)


def _split(words: TextIn, at: str) -> list[TextIn]:
    """Split a text by a pattern into its nonempty parts, in the same language."""
    return [TextIn(part, words.language) for part in re.split(at, words) if part]
