"""Tables of groups and of the questions on their sign-up forms."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, ForeignKey, and_, false, or_, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.core.db import (
    Checked,
    IdBase,
    PublicIdBase,
    TextByLanguage,
    TextList,
    now,
    texts_by_language,
    whole,
)
from belong_mail.core.i18n import LocalizedText

# Longer names are cut: the web could write one that makes an email too large to be sent.
NAME_CHARACTERS = 100
# Names of a group in one email, the current and the first ones; and how many are stored in all.
NAMES_IN_EMAILS, MOST_NAMES = 4, 200
PHONE = "tel:"


def _options(value: Any) -> list[LocalizedText]:
    return [texts_by_language(each) for each in value] if isinstance(value, list) else []


def _links(value: Any) -> list[dict[str, Any]]:
    """Return a list's valid links: {"title": LocalizedText, "url": "https:…" or "tel:…"}."""
    found = value if isinstance(value, list) else ()
    return [
        {"title": texts_by_language(each.get("title")), "url": whole(each["url"])}
        for each in found
        if isinstance(each, dict) and str(each.get("url")).lower().startswith(("https:", PHONE))
    ]


class Group(PublicIdBase):
    """A Belong group. Whether it is upcoming, established or retired follows from times."""

    __tablename__ = "groups"

    # In URLs. List-Id is made of the public id instead, as the slug tells what the group is about.
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    summary: Mapped[LocalizedText] = mapped_column(TextByLanguage)
    # Paragraphs, separated by empty lines; may be empty.
    mission: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # One a line; may be empty, and differ in number between languages.
    activities: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # Which staff are welcome, in one line by the office; may be empty.
    audience: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # A note on its card, such as “Writing our charter now”; may be empty.
    note: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # Links and phone numbers on its page.
    resources: Mapped[list[dict[str, Any]]] = mapped_column(Checked(_links), default=list)
    # The leaders' text in the welcome email; may be empty.
    welcome: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # The page's texts before the leaders' last change, for undo.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    # The leaders' shared mailbox, for messages to the group and replies to its issues.
    wrapped_mailbox: Mapped[bytes | None]
    # The rounded number of members that leaders last saw; 0 stands for “a few”.
    members_shown: Mapped[int | None]
    # When newsletters need a second leader's approval: `auto` (in discreet groups with two
    # leaders), `always` or `never`.
    approval_rule: Mapped[str] = mapped_column(server_default="auto")
    # Its place in the directory, which also determines its color.
    position: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=now)
    established_at: Mapped[datetime | None]
    # The office's mark; `header_words.is_discreet` also considers the name.
    is_discreet: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whether staff may join with a personal address and a staff code.
    allows_personal_addresses: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Further words that subjects must not contain, one a line: other names, and topics.
    identifying_words: Mapped[LocalizedText] = mapped_column(
        TextByLanguage, default=dict, server_default=text("'{}'")
    )
    # All names that it has had; the worker adds them, and nothing removes them.
    known_names: Mapped[list[str]] = mapped_column(TextList, server_default=text("'[]'"))
    # Its end, after which nothing is sent to it. Once an end is set, no one can join.
    ends_at: Mapped[datetime | None]
    # The end that the worker has announced, and when. It acts on no other, and keeps memberships
    # for a time after the announcement.
    announced_end: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    # When the worker had deleted all memberships.
    emptied_at: Mapped[datetime | None]
    # When the worker retired it, or an operator did.
    retired_at: Mapped[datetime | None]
    questions: Mapped[list["Question"]] = relationship(order_by="Question.position")

    @property
    def name_in_emails(self) -> str:
        return self.name[:NAME_CHARACTERS]

    @property
    def names_in_emails(self) -> str:
        """Return its name and first names, as the web could rename it before the email is read."""
        names = dict.fromkeys((self.name, *self.known_names))
        return " / ".join([each[:NAME_CHARACTERS] for each in names][:NAMES_IN_EMAILS])

    @property
    def is_open(self) -> bool:
        """Whether people can join: established, and without an end."""
        return self.established_at is not None and not self.is_ending

    @property
    def is_ending(self) -> bool:
        """Whether it has an end, in the future or past."""
        return self.ends_at is not None or self.retired_at is not None

    def has_ended(self, at: datetime) -> bool:
        """Return whether its end has passed, even if the worker has not retired it yet."""
        return self.retired_at is not None or (self.ends_at is not None and self.ends_at <= at)

    @classmethod
    def ended(cls, at: Any) -> ColumnElement[bool]:
        """Match groups for which `has_ended` is true."""
        return or_(cls.retired_at.is_not(None), and_(cls.ends_at.is_not(None), cls.ends_at <= at))

    @property
    def has_newsletters(self) -> bool:
        """Whether its leaders can write newsletters: established, and not ended."""
        return self.established_at is not None and not self.has_ended(now())


class Question(IdBase):
    """A question on a group's sign-up form; `kind` is a key of `questions.QUESTION_TYPES`.

    None may ask for identity, diagnosis or pronouns.
    """

    __tablename__ = "questions"

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), index=True)
    position: Mapped[int]
    kind: Mapped[str]
    label: Mapped[LocalizedText] = mapped_column(TextByLanguage)
    # For choices.
    options: Mapped[list[LocalizedText]] = mapped_column(Checked(_options), default=list)
