"""Write down what a group has published, as a ZIP of files that anyone can open.

Newsletters that went out with their pictures and flyers, the group's page, the questions of its
form, and its meetings as members see them: with contact people, places and links. No table that
tells of a member is read here.
"""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from belong_mail.accounts.models import Account
from belong_mail.accounts.service import NotFound, groups_led_by
from belong_mail.core.db import required
from belong_mail.core.i18n import NAMES, catalog
from belong_mail.core.spreadsheets import as_csv
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import is_discreet
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view, resources_of
from belong_mail.leads import export_issues
from belong_mail.leads import export_pages as pages
from belong_mail.leads.export_issues import WrittenIssue
from belong_mail.meetings import formatting, ical, recurrence
from belong_mail.meetings.models import Meeting
from belong_mail.newsletters.models import Newsletter

# Days of a meeting that goes on without an end are listed for so long.
MEETINGS_AHEAD: Final = timedelta(days=366)
# A file that its owner may write and everybody read, as ZIP keeps it.
FILE_MODE: Final = 0o100644 << 16
COLUMNS: Final = (
    gettext_noop("Date"), gettext_noop("Starts"), gettext_noop("Ends"), gettext_noop("Title"),
    gettext_noop("State"), gettext_noop("Location"), gettext_noop("Link"),
    gettext_noop("Contact person"), gettext_noop("About"), gettext_noop("Repeats"),
)  # fmt: skip
Progress = Callable[[int], object]


def find_for_lead(session: Session, account: Account, group_id: str) -> Group:
    """Find a group that an account leads by its opaque id, or raise NotFound."""
    found = select(Group).where(
        Group.public_id == group_id,
        Group.id.in_(groups_led_by(account)),
        Group.retired_at.is_(None),
    )
    return required(session.scalar(found), NotFound)


def count_issues(session: Session, group: Group) -> int:
    """Count the newsletters that an export of a group has."""
    gone = select(func.count(Newsletter.id)).where(
        Newsletter.group_id == group.id, Newsletter.queued_at.is_not(None)
    )
    return session.scalar(gone) or 0


def download_name(at: datetime, zone: ZoneInfo) -> str:
    """Name the file: the same for every group, for it lies in a folder that others look into."""
    return f"newsletters-{at.astimezone(zone):%Y-%m-%d}.zip"


@dataclass
class Export:
    """Writes the ZIP: in a fixed order, one picture or flyer in memory at a time."""

    session: Session
    group: Group
    zone: ZoneInfo
    at: datetime
    file: IO[bytes]
    progress: Progress = lambda _done: None
    # How many newsletters went out on a day, so far.
    _used: dict[str, int] = field(default_factory=dict)

    def write(self) -> int:
        """Write all of it, and return how many newsletters there are."""
        with zipfile.ZipFile(self.file, "w", zipfile.ZIP_DEFLATED) as self._archive:
            issues = [self._issue(each) for each in self._issue_ids()]
            meetings = self._meetings()
            for code in NAMES:
                self._page(code)
                self._questions(code)
                self._calendar(meetings, code)
                self._index(issues, meetings, code)
        return len(issues)

    def _put(self, path: str, content: str | bytes, at: datetime | None = None) -> None:
        """Add a file; what is compressed already stays as it is."""
        local = (at or self.at).astimezone(self.zone)
        entry = zipfile.ZipInfo(path, local.timetuple()[:6])
        is_text = isinstance(content, str)
        entry.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
        entry.external_attr = FILE_MODE
        self._archive.writestr(entry, content)

    def _issue_ids(self) -> Iterator[int]:
        gone = select(Newsletter.id).where(
            Newsletter.group_id == self.group.id, Newsletter.queued_at.is_not(None)
        )
        yield from self.session.scalars(gone.order_by(Newsletter.queued_at, Newsletter.id)).all()

    def _issue(self, number: int) -> WrittenIssue:
        """Write a newsletter into a folder of its own, named by the day on which it went out."""
        issue = self.session.get_one(Newsletter, number)
        at = issue.queued_at or self.at
        day = f"{at.astimezone(self.zone):%Y-%m-%d}"
        self._used[day] = again = self._used.get(day, 0) + 1
        folder = f"newsletters/{day}-{again}" if again > 1 else f"newsletters/{day}"
        written = export_issues.describe(issue, folder, at)
        for path, content in export_issues.files(self.session, issue, written, self.zone):
            self._put(f"{folder}/{path}", content, at)
        self.session.expunge(issue)
        self.progress(1)
        return written

    def _page(self, code: str) -> None:
        """Write the group's page."""
        page = pages.render(
            "page",
            code,
            self.zone,
            group=group_view(self.group, code),
            resources=resources_of(self.group, code),
            interests=pages.interests_of(self.group, code),
            welcome=pages.welcome_of(self.group, code),
        )
        self._put(f"page/page-{code}.html", page)
        self._put(f"page/page-{code}.txt", pages.MARK + pages.page_text(self.group, code))

    def _questions(self, code: str) -> None:
        """Write what the form asks; what people answered is nowhere to be found."""
        if asked := pages.questions_of(self.group, code):
            page = pages.render("questions", code, self.zone, group=self.group, questions=asked)
            self._put(f"questions/questions-{code}.html", page)
            text = pages.questions_text(self.group, code)
            self._put(f"questions/questions-{code}.txt", pages.MARK + text)

    def _meetings(self) -> list[Meeting]:
        kept = select(Meeting).where(Meeting.group_id == self.group.id)
        in_order = kept.order_by(Meeting.starts_on, Meeting.id)
        return list(self.session.scalars(in_order.options(selectinload(Meeting.changes))))

    def _calendar(self, meetings: list[Meeting], code: str) -> None:
        """Write the meetings for calendars, as discreet as in members' own, and as a table."""
        if not meetings:
            return
        title = catalog(code).gettext(gettext_noop("%(program_name)s meetings"))
        name = title if is_discreet(self.group) else self.group.name
        calendar = ical.calendar_of_meetings(meetings, self.zone, code, name, is_member=True)
        self._put(f"meetings/meetings-{code}.ics", calendar.decode())
        self._put(f"meetings/meetings-{code}.csv", as_csv(self._days(meetings, code)))

    def _days(self, meetings: list[Meeting], code: str) -> Iterator[list[str]]:
        """List each day of each meeting, by time, until the group's last day."""
        say = catalog(code).gettext
        yield [say(each) for each in COLUMNS]
        last = (self.at.astimezone(self.zone) + MEETINGS_AHEAD).date()
        if self.group.ends_at is not None:
            last = min(last, self.group.ends_at.astimezone(self.zone).date())
        held = [
            each
            for meeting in meetings
            for each in recurrence.occurrences(meeting, self.zone, recurrence.FIRST, last)
        ]
        for each in sorted(held, key=lambda it: (it.starts, it.meeting.id)):
            shown = formatting.meeting_view(each, code, is_member=True)
            state = gettext_noop("Canceled") if each.is_cancelled else gettext_noop("Changed")
            yield [
                each.held_on.isoformat(),
                f"{each.starts:%H:%M}",
                f"{each.ends:%H:%M}",
                shown.title,
                say(state) if each.is_cancelled or each.is_changed else "",
                shown.place,
                shown.link,
                shown.contact,
                ", ".join(words for _key, words in shown.details),
                formatting.rule_text(each.meeting, code),
            ]

    def _index(self, issues: list[WrittenIssue], meetings: list[Meeting], code: str) -> None:
        """Write the page with which one begins; the newest newsletter comes first."""
        planned = [
            (formatting.title(each, code), formatting.rule_text(each, code)) for each in meetings
        ]
        page = pages.render(
            "index",
            code,
            self.zone,
            group=self.group,
            issues=issues[::-1],
            has_questions=bool(pages.questions_of(self.group, code)),
            meetings=planned,
            exported_at=self.at,
        )
        self._put(pages.index_name(code), page)
