"""The development transport: keeps what was sent in a folder, for a page that shows it."""

import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from belong_mail.mail.feed import WELCOME, Drive, Feed
from belong_mail.mail.message import Envelope

MAX_IDLE: Final = 60.0
KEEP: Final = 500
"""Messages; the oldest go first."""

NAME: Final = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


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
            unfinished.rename(place(self._folder, name))
        finally:
            unfinished.unlink(missing_ok=True)
        self._make_room()

    def _make_room(self) -> None:
        for name in names(self._folder)[:-KEEP]:
            with suppress(FileNotFoundError):
                place(self._folder, name).unlink()


def place(folder: Path, name: str) -> Path:
    """Return where the message of that name is kept: a recipient's line, and its source."""
    return folder / f"{name}.mail"


def names(folder: Path) -> list[str]:
    """List what is kept, the oldest first."""
    return sorted(file.stem for file in folder.glob("*.mail") if NAME.fullmatch(file.stem))
