"""The preview: the mail itself, built as it is built for sending, with a sample reader."""

from dataclasses import dataclass
from email import message_from_bytes, policy

from belong_mail.groups.models import Group
from belong_mail.mail.message import compose
from belong_mail.newsletters.placeholders import FALLBACKS
from belong_mail.newsletters.rendering import Words, render
from belong_mail.parts import Parts

__all__ = ["POLICY", "Shown", "Words", "show"]

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:;"
    " frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox"
)
EMPTY = "…"


@dataclass(frozen=True, slots=True)
class Shown:
    content: str
    media_type: str


def show(parts: Parts, group: Group, words: Words, kind: str) -> Shown:
    """Show a mail as HTML, as plain text (`text`), or its Spanish version (`es`, `text-es`)."""
    language = "es" if kind.endswith("es") else "en"
    written = Words(
        subject=words.subject or EMPTY,
        text=words.text or EMPTY,
        subject_es=words.subject_es,
        text_es=words.text_es,
    )
    rendered = render(parts.renderer, group, written, language)
    wire = compose(
        [("Subject", rendered.subject)], rendered.text, rendered.html, boundary="preview"
    )
    sample = {"leave_url": parts.settings.base_url, "first_name": FALLBACKS["first_name"][language]}
    filled = wire.fill({name: sample[name] for name in wire.slots})
    message = message_from_bytes(filled, policy=policy.default)
    is_text = kind.startswith("text")
    body = message.get_body(("plain" if is_text else "html",))
    content = "" if body is None else str(body.get_content())
    return Shown(content, "text/plain" if is_text else "text/html")
