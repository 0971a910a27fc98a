"""Groups and the questions of their sign-up forms."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, ForeignKey, and_, false, or_, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.core.db import IdBase, PublicIdBase, TextByLanguage, TextList, now
from belong_mail.core.i18n import LocalizedText

# Characters: the web writes a group's name, and an email that is too large is not sent.
NAME_CHARACTERS = 100
# Names of one group in an email: the one that it has, and the first that it had; and that count.
NAMES_IN_EMAILS, MOST_NAMES = 4, 200


class Group(PublicIdBase):
    """A Belong group: established, upcoming or retired; events are stored as times."""

    __tablename__ = "groups"

    # Identifies the group in List-Id, where the slug would say what it is about.
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    summary: Mapped[LocalizedText] = mapped_column(JSON)
    # Its mission: paragraphs with an empty line between them; may be empty.
    mission: Mapped[LocalizedText] = mapped_column(JSON, default=dict)
    # Activities, one a line; may be empty, and differ in number between languages.
    activities: Mapped[LocalizedText] = mapped_column(JSON, default=dict)
    # The people it welcomes, in one line of the office's; may be empty.
    audience: Mapped[LocalizedText] = mapped_column(JSON, default=dict)
    # A note on its card, like “Writing our charter now”; may be empty.
    note: Mapped[LocalizedText] = mapped_column(JSON, default=dict)
    # Links and phone numbers on its page: [{"title": LocalizedText, "url": "https:…" or "tel:…"}].
    resources: Mapped[list[Any]] = mapped_column(JSON, default=list)
    # The leads' own words in the welcome email; may be empty.
    welcome: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # The words before the leads' last change, so that it can be undone.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    # The leads' shared mailbox, for messages to the group and replies to its issues.
    wrapped_mailbox: Mapped[bytes | None]
    # The number of members that its leads were last shown, in tens; 0 means “a few”.
    members_shown: Mapped[int | None]
    # Whether its newsletters need approval: `auto` (a discreet group's with two leads
    # do), `always` or `never`.
    approval_rule: Mapped[str] = mapped_column(server_default="auto")
    # Its place in the directory, which also sets its hue.
    position: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=now)
    established_at: Mapped[datetime | None]
    # The office's mark. `header_words.is_discreet` also knows names that need none.
    is_discreet: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whether staff may join with a personal address, after proving a staff address.
    allows_personal_addresses: Mapped[bool] = mapped_column(default=False, server_default=false())
    # More words that a subject must not contain, one a line: other names, and topics.
    identifying_words: Mapped[LocalizedText] = mapped_column(
        TextByLanguage, default=dict, server_default=text("'{}'")
    )
    # Each name that the group has had. The worker adds new ones; no one removes one.
    known_names: Mapped[list[str]] = mapped_column(TextList, server_default=text("'[]'"))
    # From this time on nothing is sent to it. Until then it goes on, but no one can join.
    ends_at: Mapped[datetime | None]
    # The end that the worker has announced to leads and office, and when. It trusts no other end,
    # and keeps memberships for a while after that.
    announced_end: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    # When the worker had deleted every membership.
    emptied_at: Mapped[datetime | None]
    # When the worker finished retiring it, or an operator ended it at once.
    retired_at: Mapped[datetime | None]
    questions: Mapped[list["Question"]] = relationship(order_by="Question.position")

    @property
    def name_in_emails(self) -> str:
        return self.name[:NAME_CHARACTERS]

    @property
    def names_in_emails(self) -> str:
        """Its name and its first ones, for who must hear of it: the web may rename it meanwhile."""
        names = dict.fromkeys((self.name, *self.known_names))
        return " / ".join([each[:NAME_CHARACTERS] for each in names][:NAMES_IN_EMAILS])

    @property
    def is_open(self) -> bool:
        """Whether people can join: established, and no end is set."""
        return self.established_at is not None and not self.is_ending

    @property
    def is_ending(self) -> bool:
        """Whether an end is set, to come or past."""
        return self.ends_at is not None or self.retired_at is not None

    def has_ended(self, at: datetime) -> bool:
        """Return whether nothing is sent to it any more, even before the worker has noticed."""
        return self.retired_at is not None or (self.ends_at is not None and self.ends_at <= at)

    @classmethod
    def ended(cls, at: Any) -> ColumnElement[bool]:
        """Match the groups for which `has_ended` is true at a time."""
        return or_(cls.retired_at.is_not(None), and_(cls.ends_at.is_not(None), cls.ends_at <= at))

    @property
    def has_newsletters(self) -> bool:
        """Whether its leads can write to members: established, and not ended."""
        return self.established_at is not None and not self.has_ended(now())


class Question(IdBase):
    """A question on a group's form; `kind` is text, choice, choices or consent.

    None asks for identity, diagnosis or pronouns.
    """

    __tablename__ = "questions"

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), index=True)
    position: Mapped[int]
    kind: Mapped[str]
    label: Mapped[LocalizedText] = mapped_column(JSON)
    # For choices: a list of Words.
    options: Mapped[list[Any]] = mapped_column(JSON, default=list)
