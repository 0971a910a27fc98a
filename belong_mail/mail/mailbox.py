"""The development transport: keeps what was sent in a folder, for a page that shows it."""

import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import partial
from pathlib import Path
from typing import Final

from belong_mail.mail.feed import WELCOME, Drive, Feed
from belong_mail.mail.message import Envelope

MAX_IDLE: Final = 60.0
KEEP: Final = 500
"""Messages; the oldest go first."""

_NAME = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


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


class Mailbox:
    """Accepts every envelope; no file's name holds an address."""

    connections = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def converse(self, feed: Feed, _drive: Drive, /) -> None:
        """Keep what the feed gives."""
        while (parcel := feed.take(MAX_IDLE)) is not None:
            try:
                self.keep(parcel.envelope, partial(feed.mark, parcel))
            except BaseException:
                feed.unsaid(parcel)
                raise
            feed.answered(parcel, WELCOME)

    def keep(self, envelope: Envelope, before_dot: Callable[[], None]) -> None:
        """Keep the message; it appears whole or not at all."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{secrets.token_hex(8)}"
        unfinished = self._folder / f"{name}.part"
        try:
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(envelope.recipient.encode() + b"\r\n" + envelope.message)
            before_dot()
            unfinished.rename(self._file(name))
        finally:
            unfinished.unlink(missing_ok=True)
        self._make_room()

    def newest(self, n: int) -> list[Kept]:
        """Return at most n messages, the newest first."""
        found = (self.find(name) for name in sorted(self._names(), reverse=True)[:n])
        return [kept for kept in found if kept is not None]

    def find(self, name: str) -> Kept | None:
        """Return the message of that name; names that are not ours find nothing."""
        if not _NAME.fullmatch(name):
            return None
        try:
            recipient, _, source = self._file(name).read_bytes().partition(b"\r\n")
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

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.mail"

    def _names(self) -> list[str]:
        return [file.stem for file in self._folder.glob("*.mail") if _NAME.fullmatch(file.stem)]

    def _make_room(self) -> None:
        for name in sorted(self._names())[:-KEEP]:
            with suppress(FileNotFoundError):
                self._file(name).unlink()


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content()).replace("\r\n", "\n")
