"""Render an issue's Markdown, placeholders and pictures, for an email or a page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from markupsafe import Markup

from belong_mail.core.email_templates import RenderedEmail, Renderer
from belong_mail.core.i18n import DEFAULT, NAMES, LocalizedText, catalog, group_in_sentence
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group
from belong_mail.mail.message import markdown
from belong_mail.mail.message.mime import AttachedFile, InlineFile, clean_text, compose, date_header
from belong_mail.mail.message.template import MessageTemplate, slot
from belong_mail.newsletters.models import Flyer, Image, Newsletter

# Pixels of an email's text width; some mail programs have no other limit.
COLUMN_PIXELS = 534
IMAGE_LABEL = gettext_noop("Picture")


@dataclass(frozen=True, slots=True)
class IssueText:
    """A lead's words, by language; readers of a language without a text get the default's."""

    subject: LocalizedText
    text: LocalizedText
    preheader: LocalizedText = field(default_factory=dict)
    # The attached flyers, which the words mention.
    flyers: Sequence[Flyer] = ()

    @classmethod
    def from_issue(cls, issue: Newsletter) -> "IssueText":
        return cls(issue.subject, issue.text, issue.preheader, issue.flyers)

    def of(self, language: str) -> tuple[str, str, str]:
        """Return the subject and text for a reader of a language, and the language they are in."""
        subject, text = self.subject.get(DEFAULT, ""), self.text.get(language, "")
        if language != DEFAULT and text.strip():
            return self.subject.get(language) or subject, text, language
        return subject, self.text.get(DEFAULT, ""), DEFAULT

    def written_in(self) -> list[str]:
        """List the languages that have words of their own, the default first."""
        return [code for code in NAMES if code == DEFAULT or self.text.get(code, "").strip()]


def render(
    renderer: Renderer,
    group: Group,
    words: IssueText,
    language: str,
    images: Sequence[Image],
    leave_url: str,
    *,
    have_leads_replies: bool | None = None,
    copy_for: str = "",
) -> RenderedEmail:
    """Render an issue for the readers of a language, with slots for each reader's own values.

    A copy for a `lead` or the `office` says so, and has no link to leave. The worker passes whether
    replies go to the leaders, as verified; a preview relies on the group's row.
    """
    if have_leads_replies is None:
        have_leads_replies = group.wrapped_mailbox is not None
    subject, text, words_language = words.of(language)
    source = fill_text(text, group, words_language)
    pictures = {image.public_id: _listed(image) for image in images}
    picture = catalog(words_language).gettext(IMAGE_LABEL)
    subject = fill_slots(clean_text(subject), group.name)
    preheader = fill_slots(clean_text(words.preheader.get(words_language, "")), group.name)
    html, plain = markdown.to_html_and_text(source, pictures, picture)
    rendered = renderer.render(
        "newsletter",
        language,
        title=subject,
        preview=preheader,
        html=Markup(html),  # noqa: S704 - sanitised by to_html_and_text
        text=plain,
        words_language=words_language,
        group=group,
        leave_url=leave_url,
        have_leads_replies=have_leads_replies,
        copy_for=copy_for,
        flyers=words.flyers,
    )
    return replace(rendered, subject=subject)


def html_of(issue: Newsletter, language: str, image_url: Callable[[Image], str]) -> str:
    """Return an issue's text as sanitized HTML for a page; pictures come from their URLs."""
    _subject, text, words_language = IssueText.from_issue(issue).of(language)
    pictures = {image.public_id: _listed(image) for image in issue.images}
    html = markdown.to_html(fill_text(text, issue.group, words_language), pictures)
    for image in issue.images:
        html = html.replace(f'"cid:{_cid(image)}"', f'"{image_url(image)}"')
    return html


def bind(
    headers: Sequence[tuple[str, str]],
    rendered: RenderedEmail,
    images: Sequence[Image],
    boundary: str,
    files: Sequence[AttachedFile] = (),
) -> MessageTemplate:
    """Build the message, with the pictures to which the HTML refers."""
    pictures = [
        InlineFile(_cid(image), image.media_type, image.content)
        for image in images
        if f'"cid:{_cid(image)}"' in rendered.html
    ]
    return compose(
        headers, rendered.text, rendered.html, boundary=boundary, pictures=pictures, files=files
    )


def sample(
    rendered: RenderedEmail, images: Sequence[Image], subject: str = "Sample"
) -> MessageTemplate:
    """Build the message for a preview: the same body, with only the required headers.

    It leaves out flyers, which are large and shown separately.
    """
    headers = [
        ("From", "sample@example.org"),
        ("Subject", subject),
        ("Date", date_header(datetime.fromtimestamp(0, UTC))),
    ]
    return bind(headers, rendered, images, "sample")


def _listed(image: Image) -> markdown.ImageView:
    width = min(image.width, COLUMN_PIXELS)
    return markdown.ImageView(_cid(image), width, max(1, round(image.height * width / image.width)))


def _cid(image: Image) -> str:
    """Return a picture's Content-ID (RFC 2392), which does not name the group."""
    return f"{image.public_id}@belong-mail"


PLACEHOLDERS = ("first_name", "group")
# In place of a missing name.
COLLEAGUE = gettext_noop("colleague")
PLACEHOLDER = re.compile(r"(?<![{$%\\])\{([A-Za-z_][A-Za-z0-9_ ]{0,40})\}(?!\})")
GROUP = re.compile(r"(?<![{$%\\])\{group\}(?!\})")
# Characters searched before a placeholder; how they end where a sentence begins.
LOOKBACK = 40
BEGINNING = re.compile(r"(?:\n|[.!?…]\s)[\s>#*_|\d.)(\[¿¡“\"-]*\Z")


def fill_text(text: str, group: Group, language: str) -> str:
    """Fill in a text's placeholders; {group} becomes, for example, “the Asian Belong Group”.

    The group's article has a capital at a sentence's start, and is left out after a typed article.
    """
    name = group_in_sentence(group.name, language)
    article, _, bare = name.partition(" ")

    def put(found: re.Match[str]) -> str:
        before = found.string[max(0, found.start() - LOOKBACK) : found.start()]
        typed = before.casefold().split()[-1:] if before[-1:].isspace() else []
        if typed == [article.casefold()]:
            return bare
        return name[:1].upper() + name[1:] if BEGINNING.search(before) else name

    return fill_slots(GROUP.sub(put, f"\n{clean_text(text)}")[1:], group.name)


def fill_slots(text: str, group_name: str) -> str:
    """Fill in the group's bare name, as for a subject, and a slot for each member's own name.

    The gate refuses an issue with a member's name in a link.
    """

    def put(found: re.Match[str]) -> str:
        if found[1] == "group":
            return group_name
        return slot(found[1]) if found[1] in PLACEHOLDERS else found[0]

    return PLACEHOLDER.sub(put, text)


def first_name(name: str, language: str) -> str:
    """Return a member's first name, or the words in its place."""
    return name or catalog(language).gettext(COLLEAGUE)
