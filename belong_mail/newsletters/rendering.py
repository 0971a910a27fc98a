"""An issue's words as a mail: the same for sending, for a test and for the preview."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from markupsafe import Markup

from belong_mail.groups.models import Group
from belong_mail.languages import DEFAULT, marked
from belong_mail.mail import markdown
from belong_mail.mail.message import Picture, Wire, clean, compose, date_header, slot
from belong_mail.newsletters.models import Image
from belong_mail.newsletters.placeholders import open_slots
from belong_mail.outbox.rendering import Rendered, Renderer

COLUMN = 534
"""Pixels that a mail's text is wide; some programs know no other limit."""
PICTURE = marked("Picture")
LEAVE_URL = slot("leave")


@dataclass(frozen=True, slots=True)
class Words:
    """What a lead wrote; without a Spanish text, everybody gets the other."""

    subject: str
    text: str
    subject_es: str = ""
    text_es: str = ""

    def of(self, language: str) -> tuple[str, str, str]:
        """Return subject, text and the language they are in, for a reader of a language."""
        if language == "es" and self.text_es.strip():
            return self.subject_es or self.subject, self.text_es, "es"
        return self.subject, self.text, DEFAULT


def render(
    renderer: Renderer,
    group: Group,
    words: Words,
    language: str,
    images: Sequence[Image],
    leave_url: str = LEAVE_URL,
) -> Rendered:
    """Render an issue for the readers of a language; what is each one's own stays a slot."""
    subject, text, words_language = words.of(language)
    source = open_slots(clean(text), group.name)
    pictures = {image.public_id: _shown(image) for image in images}
    picture = renderer.words(words_language, PICTURE)
    subject = open_slots(clean(subject), group.name)
    rendered = renderer.render(
        "newsletter",
        language,
        subject=subject,
        html=Markup(markdown.to_html(source, pictures)),  # noqa: S704 - sanitised by to_html
        text=markdown.to_text(source, pictures, picture),
        words_language=words_language,
        group=group,
        leave_url=leave_url,
    )
    return replace(rendered, subject=subject)


def bind(
    headers: Sequence[tuple[str, str]], rendered: Rendered, images: Sequence[Image], boundary: str
) -> Wire:
    """Build the message; of the pictures those travel with it that the words show."""
    pictures = [
        Picture(_cid(image), image.media_type, image.content)
        for image in images
        if f'"cid:{_cid(image)}"' in rendered.html
    ]
    return compose(headers, rendered.text, rendered.html, boundary=boundary, pictures=pictures)


def sample(rendered: Rendered, images: Sequence[Image]) -> Wire:
    """Build the message for looking at it: the same body, and only the headers that must be."""
    headers = [
        ("From", "sample@example.org"),
        ("Subject", "Sample"),
        ("Date", date_header(datetime.fromtimestamp(0, UTC))),
    ]
    return bind(headers, rendered, images, "sample")


def _shown(image: Image) -> markdown.Shown:
    width = min(image.width, COLUMN)
    return markdown.Shown(_cid(image), width, max(1, round(image.height * width / image.width)))


def _cid(image: Image) -> str:
    """Name a picture within its mail (RFC 2392): opaque, and silent about the group."""
    return f"{image.public_id}@belong-mail"
