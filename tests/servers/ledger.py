"""Messages that a mail server of the tests took, kept in a file that outlives a kill."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Copy:
    """One message that was taken for one recipient."""

    recipient: str
    return_path: str
    message_id: str
    # SHA-256 of the message's bytes.
    digest: str
    at: float

    @classmethod
    def of(cls, recipient: str, return_path: str, data: bytes) -> "Copy":
        found = MESSAGE_ID.search(data)
        message_id = found[1].decode("ascii", "replace") if found else ""
        digest = hashlib.sha256(data).hexdigest()
        return cls(recipient, return_path, message_id, digest, time.time())

    def line(self) -> str:
        return json.dumps(asdict(self))


class Ledger:
    """Appends one line of JSON for each copy, before its 250 is written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, copies: Iterable[Copy]) -> None:
        lines = "".join(f"{copy.line()}\n" for copy in copies)
        os.write(self._descriptor, lines.encode())

    def close(self) -> None:
        os.close(self._descriptor)


def read(file: Path) -> list[Copy]:
    """Return what was taken, oldest first."""
    return [Copy(**json.loads(line)) for line in file.read_text().splitlines()]
