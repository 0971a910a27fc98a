"""What is said to a relay (RFC 5321), as far as it takes what it announced."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from belong_mail.mail.address import check_envelope
from belong_mail.mail.connection import Relay, Unreachable, connect
from belong_mail.mail.line import Broken, Line
from belong_mail.mail.message import Envelope, MessageRefused
from belong_mail.mail.outcomes import Reply
from belong_mail.mail.steps import Steps, Wait

__all__ = ["Dialogue", "Unreachable"]

MAX_TRANSACTIONS: Final = 1000
"""On one connection, where the relay names no smaller number (RFC 9422)."""

AT_ONCE: Final = 16_000
"""Octets of a body that leave in one piece with its dot: a TLS record and any buffer have room."""

CLOSING: Final = 421

_MAILMAX: Final = re.compile(r"(?<!\S)MAILMAX=([1-9][0-9]{0,5})(?!\S)")
_SIZE: Final = re.compile(r"[0-9]{1,20}")
"""Numbers as RFC 9422, 4.1, and RFC 1870, 3, have them; what else is announced is no limit."""
_DONE: Final = range(200, 300)
_GO_AHEAD: Final = 354
_BLOCK: Final = 1 << 18
_BLOCK_SHARE: Final = 0.6
"""Each block of a body has 3 minutes where MAIL and RCPT have 5; all of it has no more than a
transaction has before its dot."""
_VERBS: Final = (("MAIL", 1.0), ("RCPT", 1.0), ("DATA", 0.4))
"""What share of the time-out each has: RFC 5321 4.5.3.2 gives DATA 2 minutes, the others 5."""


class Dialogue:
    """One connection, and what may be said over it."""

    def __init__(self, line: Line, *, is_pipelining: bool = True) -> None:
        self.line = line
        self.is_pipelining = is_pipelining and line.has_extn("pipelining")
        """Several commands may travel together (RFC 2920)."""
        self.sent = 0
        """Transactions begun."""
        limits, size = (line.esmtp_features.get(name, "") for name in ("limits", "size"))
        most = _MAILMAX.search(limits.upper())
        self._most = min(MAX_TRANSACTIONS, int(most[1])) if most else MAX_TRANSACTIONS
        self._max_size = int(size) if _SIZE.fullmatch(size) else 0
        """Octets of a message that the relay takes; 0: it names no limit."""

    @classmethod
    def open(cls, relay: Relay) -> "Dialogue":
        """Connect to the relay, or raise Unreachable."""
        return cls(connect(relay), is_pipelining=relay.pipelining)

    @property
    def is_open(self) -> bool:
        """Whether another message may be sent."""
        return self.line.sock is not None and self.room() > 0

    def close(self) -> None:
        """Say goodbye; what was accepted stays accepted, whatever happens now."""
        with suppress(OSError, Broken):
            self.line.start_clock()
            self.line.phase("QUIT", share=0.05)
            self.line.docmd("QUIT")
        self.line.close()

    def start(self) -> None:
        """Begin the clock of a transaction."""
        self.line.start_clock()
        self.line.phase("MAIL")

    def hear(self, commands: Sequence[bytes] = ()) -> Steps[Reply | None]:
        """Return the first refusal of an envelope's replies, once the relay expects MAIL.

        Commands that have not been said are said one at a time, up to the refusal.
        """
        refusal, is_invited = None, False
        for index, (verb, share) in enumerate(_VERBS):
            self.line.phase(verb, share)
            if commands:
                self.line.refuse_surplus()
                yield from self.line.say(commands[index])
            code, text = yield from self.line.reply()
            if verb == "DATA" and code == _GO_AHEAD:
                is_invited = True
            elif verb == "DATA" and code in _DONE and refusal is None:
                raise Broken("a reply to something else")
            elif code not in _DONE:
                refusal = refusal or reply_to(verb, code, text)
            if code == CLOSING or (commands and refusal):
                break
        if refusal is not None:
            if is_invited:
                self.line.phase("DATA")
                yield from self.line.say(b".\r\n")
                yield from self.line.reply()
            yield from self._forget(refusal)
        return refusal

    def say_body(self, body: bytes) -> Steps[None]:
        """Write a body without its dot: until that is written, it is certainly not accepted.

        After a long one there is room for the dot: once it is marked, it must leave at once.
        """
        for begin in range(0, len(body), _BLOCK):
            self.line.phase("body", _BLOCK_SHARE)
            yield from self.line.say(body[begin : begin + _BLOCK])
        if len(body) > AT_ONCE:
            yield Wait.WRITE
        self.line.refuse_chatter()

    def _forget(self, refusal: Reply) -> Steps[None]:
        """Leave nothing of a refused transaction to the next one."""
        try:
            self.line.phase("RSET")
            if refusal.code != CLOSING:
                self.line.refuse_surplus()
                yield from self.line.say(b"RSET\r\n")
                code, _ = yield from self.line.reply()
                if code in _DONE:
                    return
        except (OSError, Broken):
            pass
        self.line.close()

    def too_large(self, body: bytes) -> Reply | None:
        """Return the refusal of what is larger than the relay announced (RFC 1870)."""
        if 0 < self._max_size < len(body):
            return Reply(552, "5.3.4 The message is larger than the relay announced", "MAIL")
        return None

    def mail(self, envelope: Envelope) -> str:
        """Return what follows MAIL, with SIZE (RFC 1870) and DSN (RFC 3461) where offered."""
        size = f" SIZE={len(envelope.message)}" if "size" in self.line.esmtp_features else ""
        if "dsn" not in self.line.esmtp_features or not envelope.return_path:
            return f"FROM:<{envelope.return_path}>{size}"
        name = xtext(envelope.return_path.rpartition("@")[0])
        return f"FROM:<{envelope.return_path}>{size} RET=HDRS ENVID={name}"

    def rcpt(self, envelope: Envelope) -> str:
        """Return what follows RCPT."""
        if "dsn" not in self.line.esmtp_features or not envelope.return_path:
            return f"TO:<{envelope.recipient}>"
        name = xtext(envelope.recipient)
        return f"TO:<{envelope.recipient}> NOTIFY=FAILURE,DELAY ORCPT=rfc822;{name}"

    def room(self) -> int:
        """Return how many more transactions this connection may begin."""
        return self._most - self.sent


def checked(envelope: Envelope) -> bytes:
    """Return the body with its dots stuffed; nothing in it may look like the end of it.

    What `Wire.fill` made was checked piece by piece. Raises AddressRefused, MessageRefused.
    """
    check_envelope(envelope.recipient)
    if envelope.return_path:
        check_envelope(envelope.return_path)
    body = envelope.message
    if envelope.is_verified:
        return body
    ends = body.count(b"\r\n")
    if body.count(b"\n") != ends or body.count(b"\r") != ends or b"\0" in body:
        raise MessageRefused("A line does not end as it must.")
    if not body.endswith(b"\r\n") or not body.isascii():
        raise MessageRefused("The message is not finished, or not ASCII.")
    if body.startswith(b"."):
        body = b"." + body
    return body.replace(b"\r\n.", b"\r\n..")


def reply_to(verb: str, code: int, text: bytes) -> Reply:
    """Return the reply to a verb; one that invites to go on answers something else."""
    if code // 100 == _GO_AHEAD // 100:
        raise Broken("a reply to something else")
    return Reply(code, text.decode("utf-8", "replace"), verb)


def xtext(address: str) -> str:
    """Write an address that was `checked` as RFC 3461 4 does: of its characters it spells two."""
    return address.replace("+", "+2B").replace("=", "+3D")
