"""Read a mailbox: list its messages, fetch them up to a size, archive and delete them."""

import imaplib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, Final

from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.imap.connection import ImapConnection
from belong_mail.mail.imap.location import MailboxLocation
from belong_mail.mail.oauth import TokenSource, bearer

# Messages covered by one SEARCH, so that its response fits a line; UIDs in one command.
SEARCHED: Final = 10_000
NAMED: Final = 100
# Required extensions: they remove exactly the given messages from the folder.
NEEDED: Final = frozenset({"MOVE", "UIDPLUS"})
UID_DIGITS: Final = 10
_DELETED: Final = r"(\Deleted)"
_UID: Final = re.compile(rb"\bUID (\d{1,10})\b")
_LITERAL: Final = re.compile(rb"\bBODY\[\](?:<\d+>)? ~?\{\d+\}$")
_QUOTED: Final = re.compile(rb'\bBODY\[\](?:<\d+>)? "((?:[^"\\]|\\.)*)"')
# Errors that imaplib raises when a server breaks the protocol or the connection.
_BROKEN: Final = (OSError, imaplib.IMAP4.error, ValueError, LookupError, AttributeError, TypeError)
# Results of a move; “no folder” is a guess.
DONE, FULL, NO_FOLDER = "done", "full", "no folder"
# English month names (RFC 3501, "date-month"), whatever the locale.
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


class MailboxUnavailable(Exception):
    """The mailbox could not be used; `step` says where, without quoting the server."""

    def __init__(self, step: str) -> None:
        super().__init__(f"The mailbox could not be used, at {step}.")
        self.step = step


class Mailbox:
    """An open connection with a selected folder."""

    def __init__(self, imap: ImapConnection, location: MailboxLocation) -> None:
        self._imap = imap
        self._location = location
        self.messages = 0
        """The number of messages when the folder was selected."""

    def select(self, folder: str = "", *, is_read_only: bool = False) -> None:
        """Select the mailbox's folder, or another one."""
        with at_step("SELECT"):
            said, counts = self._imap.select(_quoted(folder or self._location.folder), is_read_only)
            if said != "OK":
                raise ValueError
            self.messages = int(counts[-1] or 0)

    def uids(self, most: int, criteria: str = "") -> list[int]:
        """Return the highest matching UIDs, in order, right after `select`."""
        found: set[int] = set()
        for high in range(self.messages, 0, -SEARCHED):
            with at_step("SEARCH"):
                found.update(self._search(f"{max(1, high - SEARCHED + 1)}:{high}{criteria}"))
            if len(found) >= most:
                break
        return sorted(found)[-most:]

    def fetch(self, uid: int) -> list[bytes]:
        """Return the first bytes of a message without marking it as seen; [] if it is gone.

        Returns several if a server breaks the protocol by giving two messages one UID.
        """
        with at_step("FETCH"):
            asked = f"(UID BODY.PEEK[]<0.{MAX_OCTETS}>)"
            said, answers = self._imap.uid("FETCH", str(uid), asked)
            if said != "OK":
                raise ValueError
            return [body for number, body in _bodies(answers) if number == uid]

    def archive(self, uid: int) -> None:
        """Move a message to the read folder, or delete it if the quota is exceeded.

        A full mailbox would accept no more bounces.
        """
        with at_step("MOVE"):
            said = self._move(uid)
            if said == NO_FOLDER and self._is_created():
                said = self._move(uid)
            if said == NO_FOLDER:
                raise ValueError
            if said == FULL:
                self._delete(str(uid))

    def delete_read(self, before: date) -> None:
        """Delete messages that are in the read folder and arrived before a day."""
        with at_step("MOVE"):
            self._is_created()
        self.select(self._location.read_folder)
        day = f"{before.day}-{_MONTHS[3 * before.month - 3 : 3 * before.month]}-{before.year}"
        self.remove(self.uids(SEARCHED, f" BEFORE {day}"))

    def remove(self, uids: Sequence[int]) -> None:
        with at_step("DELETE"):
            for listed in _lists(uids):
                self._delete(listed)

    def _search(self, criteria: str) -> Iterator[int]:
        said, answers = self._imap.uid("SEARCH", criteria)
        if said != "OK":
            raise ValueError
        for each in answers:
            words = each.split() if isinstance(each, bytes) else ()
            yield from (int(word) for word in words if word.isdigit() and len(word) <= UID_DIGITS)

    def _move(self, uid: int) -> str:
        """Move a message (RFC 6851)."""
        self._imap.untagged_responses.pop("OVERQUOTA", None)
        said, _ = self._imap.uid("MOVE", str(uid), _quoted(self._location.read_folder))
        if said == "OK":
            return DONE
        return FULL if "OVERQUOTA" in self._imap.untagged_responses else NO_FOLDER

    def _is_created(self) -> bool:
        """Create the read folder; return whether it was missing."""
        said, _ = self._imap.create(_quoted(self._location.read_folder))
        return bool(said == "OK")

    def _delete(self, listed: str) -> None:
        """Mark messages as deleted, and expunge only these (RFC 4315)."""
        said, _ = self._imap.uid("STORE", listed, "+FLAGS.SILENT", _DELETED)
        if said == "OK":
            said, _ = self._imap.uid("EXPUNGE", listed)
        if said != "OK":
            raise ValueError


def token_source(location: MailboxLocation) -> TokenSource | None:
    """Return a source of the mailbox's OAuth tokens, or None if it has a password."""
    return TokenSource(location.credentials) if location.credentials else None


@contextmanager
def open_mailbox(
    location: MailboxLocation, tokens: TokenSource | None, deadline: float
) -> Iterator[Mailbox]:
    """Connect and log in. Raises MailboxUnavailable."""
    with at_step("TOKEN"):
        token = tokens.token() if tokens else ""
    with at_step("CONNECT"):
        imap = ImapConnection(location, deadline)
    try:
        with at_step("LOGIN"):
            if imap.state == "NONAUTH":
                _sign_in(imap, location, token)
            _, said = imap.capability()  # it changes with the user
            capabilities = said[-1].decode().upper().split()
        if not NEEDED.issubset(capabilities):
            raise MailboxUnavailable("CAPABILITY")
        yield Mailbox(imap, location)
        with suppress(*_BROKEN):
            imap.logout()
    finally:
        imap.shutdown()


@contextmanager
def at_step(step: str) -> Iterator[None]:
    """Turn any error within into MailboxUnavailable at this step."""
    try:
        yield
    except _BROKEN as error:
        raise MailboxUnavailable(step) from error


def _sign_in(imap: ImapConnection, location: MailboxLocation, token: str) -> None:
    if not token:
        imap.login(_quoted(location.user), location.password)
        return
    # A refusal comes as a challenge, which needs an empty answer before the server says NO.
    answers = iter((bearer(location.user, token).encode(), b""))
    imap.authenticate("XOAUTH2", lambda _: next(answers, None))


def _quoted(text: str) -> str:
    """Quote a string (RFC 3501, 4.3), as imaplib does only for passwords."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _lists(uids: Sequence[int]) -> Iterator[str]:
    """Yield UIDs as lists for commands, NAMED in each."""
    for start in range(0, len(uids), NAMED):
        yield ",".join(map(str, uids[start : start + NAMED]))


def _bodies(answers: Sequence[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield UID and body of each message in imaplib's response to a FETCH.

    The response is a list: a tuple for each literal, with the text before it, then a last part
    without one. The UID comes before or after the body.
    """
    said, body = b"", None
    for each in answers:
        if isinstance(each, tuple):
            said += each[0]
            if _LITERAL.search(each[0]):
                body = each[1]
            continue
        said += each or b""
        if body is None and (quoted := _QUOTED.search(said)):
            body = re.sub(rb"\\(.)", rb"\1", quoted[1])
        if body is not None and (number := _UID.search(said)):
            yield int(number[1]), body
        said, body = b"", None
