"""What the test mailbox keeps, as its readers see it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from belong_mail.mail.mailbox import NAME, names, place


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as its reader would see it, and its source."""

    name: str
    received_at: datetime
    recipient: str
    subject: str
    sender: str
    text: str
    html: str
    source: str


def newest(folder: Path, n: int) -> list[Kept]:
    """Return at most n messages, the newest first."""
    found = (find(folder, name) for name in names(folder)[: -n - 1 : -1])
    return [kept for kept in found if kept is not None]


def find(folder: Path, name: str) -> Kept | None:
    """Return the message of that name; names that are not ours find nothing."""
    if not NAME.fullmatch(name):
        return None
    try:
        recipient, _, source = place(folder, name).read_bytes().partition(b"\r\n")
    except FileNotFoundError:
        return None
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(source)
    return Kept(
        name=name,
        received_at=datetime.fromtimestamp(int(name[:20]) / 1e9, UTC),
        recipient=recipient.decode(),
        subject=str(message["Subject"] or ""),
        sender=str(message["From"] or ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        source=source.decode("utf-8", "replace"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content()).replace("\r\n", "\n")
