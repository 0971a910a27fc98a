"""Render an issue for pages: as the email that would be sent, or its words alone."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage

from markupsafe import Markup

from belong_mail.core.i18n import DEFAULT, NAMES
from belong_mail.core.services import Services
from belong_mail.mail.message.mime import clean_text
from belong_mail.mail.message.template import slot
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.newsletters.rendering import (
    IssueText,
    fill_slots,
    first_name,
    html_of,
    render,
    sample,
)

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox"
)
# In place of a missing subject or text.
EMPTY = "…"
# Changes of the email's style by the name of a view. The frame is as narrow as a phone: the layout
# of a desktop has room in it on a smaller scale.
VIEWS = {
    "dark": ("@media (prefers-color-scheme: dark)", "@media all"),
    "desktop": ("@media (max-width: 480px)", "body { zoom: 0.6; } @media not all"),
}


def preview_page(
    services: Services, issue: Newsletter, words: IssueText, kind: str
) -> tuple[str, str]:
    """Return a preview and its media type.

    `kind` is one of `VIEWS`, `text`, `es` or `text-es` (or another language's code); anything else
    is the HTML in the default language.
    """
    code = kind.removeprefix("text-")
    language = code if code in NAMES else DEFAULT
    nowhere = services.settings.base_url
    written = replace(
        words,
        subject={DEFAULT: EMPTY} | words.subject,
        text={DEFAULT: EMPTY} | words.text,
        flyers=issue.flyers,
    )
    rendered = render(services.renderer, issue.group, written, language, issue.images, nowhere)
    wire = sample(rendered, issue.images)
    spoken = written.of(language)[2]
    filled = wire.fill({name: first_name("", spoken) for name in wire.slots})
    message = message_from_bytes(filled, policy=policy.default)
    if kind.startswith("text"):
        return _part(message, "plain"), "text/plain"
    html = _with_pictures(_part(message, "html"), message)
    return html.replace(*VIEWS[kind]) if kind in VIEWS else html, "text/html"


def versions(issue: Newsletter, image_url: Callable[[Image], str]) -> list[dict[str, str]]:
    """Return an issue's words in each language that it is written in, for a sample reader."""
    words, found = IssueText.from_issue(issue), []
    for code in words.written_in():
        subject, preheader = (
            _filled(fill_slots(clean_text(each), issue.group.name), code)
            for each in (words.of(code)[0], words.preheader.get(code, ""))
        )
        html = Markup(_filled(html_of(issue, code, image_url), code))  # noqa: S704 - sanitised
        said = {"subject": subject, "preheader": preheader, "html": html}
        found.append({"language": code, **said})
    return found


def _filled(words: str, language: str) -> str:
    return words.replace(slot("first_name"), first_name("", language))


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content())


def _with_pictures(html: str, message: EmailMessage) -> str:
    """Replace the references to the message's own pictures with data: URLs."""
    for part in message.walk():
        if part.get_content_maintype() == "image":
            data = b64encode(part.get_content()).decode()
            url = f"data:{part.get_content_type()};base64,{data}"
            html = html.replace(f"cid:{part['Content-ID'].strip('<>')}", url)
    return html
