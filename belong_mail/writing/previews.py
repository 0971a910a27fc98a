"""The preview: the mail itself, built as it is built for sending, with a sample reader."""

from base64 import b64encode
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.placeholders import FALLBACKS
from belong_mail.newsletters.rendering import Words, render, sample
from belong_mail.parts import Parts

__all__ = ["POLICY", "Shown", "Words", "show"]

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox"
)
EMPTY = "…"
WHEN_DARK = "@media (prefers-color-scheme: dark)"


@dataclass(frozen=True, slots=True)
class Shown:
    content: str
    media_type: str


def show(parts: Parts, issue: Newsletter, words: Words, kind: str) -> Shown:
    """Show a mail in its members' ways: `text`, `dark`, `es` and `text-es`, else as it comes."""
    language = "es" if kind.endswith("es") else "en"
    written = Words(
        subject=words.subject or EMPTY,
        text=words.text or EMPTY,
        subject_es=words.subject_es,
        text_es=words.text_es,
    )
    nowhere = parts.settings.base_url
    rendered = render(parts.renderer, issue.group, written, language, issue.images, nowhere)
    wire = sample(rendered, issue.images)
    filled = wire.fill({name: FALLBACKS[name][language] for name in wire.slots})
    message = message_from_bytes(filled, policy=policy.default)
    if kind.startswith("text"):
        return Shown(_part(message, "plain"), "text/plain")
    html = _with_pictures(_part(message, "html"), message)
    return Shown(html.replace(WHEN_DARK, "@media all") if kind == "dark" else html, "text/html")


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content())


def _with_pictures(html: str, message: EmailMessage) -> str:
    """Put the pictures that travel in the message where it names them, as data: URLs."""
    for part in message.walk():
        if part.get_content_maintype() == "image":
            data = b64encode(part.get_content()).decode()
            url = f"data:{part.get_content_type()};base64,{data}"
            html = html.replace(f"cid:{part['Content-ID'].strip('<>')}", url)
    return html
