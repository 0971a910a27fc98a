"""The newsletters of an export: each as a page, as plain text and as Markdown, with its files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.i18n import LocalizedText, TextIn, at_start, catalog, format_date
from belong_mail.leads import export_pages as pages
from belong_mail.mail.message import markdown
from belong_mail.mail.message.mime import clean_text
from belong_mail.mail.message.template import slot
from belong_mail.newsletters.attachments import file_name
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from belong_mail.newsletters.rendering import (
    IMAGE_LABEL,
    IssueText,
    fill_slots,
    fill_text,
    html_of,
)

ENDINGS: Final = {"image/jpeg": "jpg", "image/png": "png"}
# Characters of a flyer's title in the name of its file: Windows bears 260 for a whole path.
TITLE_LENGTH: Final = 60
# What a file holds, by its path from the newsletter's folder.
File = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True)
class WrittenFlyer:
    path: str
    title: str
    pages: int


@dataclass(frozen=True, slots=True)
class WrittenIssue:
    """A newsletter of the export, as its pages name it; paths start at its folder."""

    folder: str
    queued_at: datetime
    # By language: those that it is written in.
    subjects: dict[str, str]
    # What its readers had offered to help with; empty for the whole group.
    interest: LocalizedText
    is_stopped: bool
    # By the numbers of those pictures that the words show.
    pictures: dict[int, str]
    flyers: list[WrittenFlyer]

    def subject(self, language: str) -> TextIn:
        """Return the subject in a language, or in the one that there is."""
        code = language if language in self.subjects else next(iter(self.subjects))
        return TextIn(self.subjects[code], code)

    def readers(self, language: str) -> str:
        """Name what its readers had offered to help with; empty for the whole group."""
        return self.interest.get(language) or next(iter(self.interest.values()), "")


def describe(issue: Newsletter, folder: str, queued_at: datetime) -> WrittenIssue:
    """Say what a newsletter's folder holds."""
    words = IssueText.from_issue(issue)
    return WrittenIssue(
        folder=folder,
        queued_at=queued_at,
        subjects={
            code: " ".join(_plain(words.of(code)[0], issue, code).split())
            for code in words.written_in()
        },
        interest=issue.interest.label if issue.interest else {},
        is_stopped=issue.stopped_at is not None,
        pictures=_pictures(issue),
        flyers=_flyers(issue.flyers),
    )


def files(
    session: Session, issue: Newsletter, written: WrittenIssue, zone: ZoneInfo
) -> Iterator[File]:
    """List a newsletter's files, one at a time."""
    for code in written.subjects:
        yield f"newsletter-{code}.html", _page(issue, written, zone, code)
        source = _named(fill_text(issue.text.get(code, ""), issue.group, code), code)
        yield f"newsletter-{code}.txt", pages.MARK + _text(issue, written, zone, code, source)
        yield f"newsletter-{code}.md", _markdown(issue, written, code, source)
    for number, path in written.pictures.items():
        yield path, session.scalars(select(Image.content).where(Image.id == number)).one()
    for flyer, shown in zip(issue.flyers, written.flyers, strict=True):
        yield shown.path, session.scalars(select(Flyer.content).where(Flyer.id == flyer.id)).one()


def _page(issue: Newsletter, written: WrittenIssue, zone: ZoneInfo, code: str) -> str:
    """Return the newsletter as a page, with its pictures from the files beside it."""
    html = html_of(issue, code, lambda image: written.pictures.get(image.id, ""))
    return pages.render(
        "newsletter",
        code,
        zone,
        issue=written,
        group=issue.group,
        preheader=_plain(issue.preheader.get(code, ""), issue, code),
        html=Markup(_named(html, code)),  # noqa: S704 - sanitised by html_of
    )


def _text(issue: Newsletter, written: WrittenIssue, zone: ZoneInfo, code: str, source: str) -> str:
    """Return the newsletter as plain text: when it went out, to whom, with what, and its words."""
    say = catalog(code).gettext
    views = {
        each.public_id: markdown.ImageView(written.pictures[each.id], each.width, each.height)
        for each in issue.images
        if each.id in written.pictures
    }
    subject, readers = written.subjects[code], written.readers(code)
    lines = [subject, "=" * len(subject), "", at_start(format_date(written.queued_at, code, zone))]
    lines += [say(pages.READERS) % {"interest": readers}] if readers else []
    lines += [f"{say(pages.FLYER)}: {each.title} ({each.path})" for each in written.flyers]
    return "\n".join([*lines, "", markdown.to_text(source, views, say(IMAGE_LABEL))])


def _markdown(issue: Newsletter, written: WrittenIssue, code: str, source: str) -> str:
    """Return the newsletter in Markdown, with its pictures from the files beside it."""
    for image in issue.images:
        if image.id in written.pictures:
            source = source.replace(f"picture:{image.public_id}", written.pictures[image.id])
    return f"# {written.subjects[code]}\n\n{source.strip()}\n"


def _named(words: str, code: str) -> str:
    """Put words where each member reads their own name."""
    return words.replace(slot("first_name"), catalog(code).gettext(pages.FIRST_NAME))


def _plain(words: str, issue: Newsletter, code: str) -> str:
    return _named(fill_slots(clean_text(words), issue.group.name), code)


def _pictures(issue: Newsletter) -> dict[int, str]:
    """Name the files of the pictures that the words show; the others went nowhere."""
    shown = {
        target.removeprefix("picture:")
        for words in issue.text.values()
        for target, _description in markdown.images_of(clean_text(words))
    }
    found = [each for each in issue.images if each.public_id in shown]
    return {
        each.id: f"picture-{number}.{ENDINGS.get(each.media_type, 'img')}"
        for number, each in enumerate(found, 1)
    }


def _flyers(flyers: list[Flyer]) -> list[WrittenFlyer]:
    """Name the files of flyers: a number and what their title has in plain letters."""
    return [
        WrittenFlyer(
            f"flyer-{number}-{file_name(each.title)[:TITLE_LENGTH].strip('-')}.pdf",
            each.title,
            each.pages,
        )
        for number, each in enumerate(flyers, 1)
    ]
