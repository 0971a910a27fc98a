"""The SMTP conversation (RFC 5321), step by step, so that each message's fate is known."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from belong_mail.mail.address import check_envelope
from belong_mail.mail.connection import Relay, Unreachable, connect, why
from belong_mail.mail.line import Broken, Line
from belong_mail.mail.message import Envelope, MessageRefused
from belong_mail.mail.outcomes import Reply

__all__ = ["AnswerLost", "Dialogue", "Unreachable"]

MAX_TRANSACTIONS: Final = 1000
"""On one connection, where the relay names no smaller number (RFC 9422)."""

_DATA_SHARE, _BODY_SHARE = 0.4, 0.6
"""Of the time-out for MAIL and RCPT: RFC 5321 4.5.3.2 gives 2 and 3 minutes where those have 5."""

DONE: Final = range(200, 300)
_GO_AHEAD, _CLOSING = 354, 421


class AnswerLost(Exception):
    """The final dot was written and no whole answer came: the message may have been accepted."""


class Dialogue:
    """One connection, one message at a time."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.sent = 0
        """Transactions begun."""
        self._most = _max_transactions(line.esmtp_features.get("limits", ""))
        limit = line.esmtp_features.get("size", "")
        self._max_size = int(limit) if limit.isdigit() else 0
        """Octets of a message that the relay takes; 0: it names no limit."""

    @classmethod
    def open(cls, relay: Relay) -> "Dialogue":
        """Connect to the relay, or raise Unreachable."""
        return cls(connect(relay))

    @property
    def is_open(self) -> bool:
        """Whether another message may be sent."""
        return self.line.sock is not None and self.room() > 0

    def send(self, envelope: Envelope, before_dot: Callable[[], None]) -> Reply:
        """Hand the envelope over and return the relay's answer, to the dot or to what it refused.

        `before_dot` is called when all but the final dot has been written: until it returns, the
        message is certainly not accepted. Raises Unreachable, AnswerLost; AddressRefused and
        MessageRefused before a word is said.
        """
        body = checked(envelope)
        if too_large := self.too_large(body):
            return too_large
        self.sent += 1
        with self._handing_over():
            self.line.start_clock()
            self.line.phase("MAIL")
            self.line.refuse_chatter()
            refusal = (
                self._ask("MAIL", self.mail(envelope))
                or self._ask("RCPT", self.rcpt(envelope))
                or self._ask("DATA", share=_DATA_SHARE)
            )
            if refusal:
                self.forget(refusal)
                return refusal
            self.line.phase("body", _BODY_SHARE)
            self.line.write(body)
            self.line.refuse_chatter()
            before_dot()
        return self._finish()

    def close(self) -> None:
        """Say goodbye; what was accepted stays accepted, whatever happens now."""
        with suppress(OSError, Broken):
            self.line.start_clock()
            self.line.phase("QUIT", share=0.05)
            self.line.docmd("QUIT")
        self.line.close()

    @contextmanager
    def _handing_over(self) -> Iterator[None]:
        """Whatever is raised within, the connection is closed without a final dot."""
        try:
            yield
        except (OSError, Broken) as error:
            self.line.close()
            raise Unreachable(self.line.now, why(error)) from None
        except BaseException:
            self.line.close()
            raise

    def _ask(self, verb: str, arguments: str = "", share: float = 1.0) -> Reply | None:
        """Return the reply if it refuses, nothing if it lets us go on."""
        self.line.phase(verb, share)
        code, text = self.line.docmd(verb, arguments)
        if verb == "DATA" and code == _GO_AHEAD:
            return None
        reply = reply_to(verb, code, text)
        if verb == "DATA" and code in DONE:
            raise Broken("a reply to something else")
        return None if code in DONE else reply

    def _finish(self) -> Reply:
        try:
            self.line.await_dot()
            self.line.write(b".\r\n")
            reply = reply_to("DOT", *self.line.getreply())
        except (OSError, Broken) as error:
            self.line.close()
            raise AnswerLost(why(error)) from None
        except BaseException:
            self.line.close()
            raise
        if reply.code == _CLOSING:
            self.line.close()
        return reply

    def forget(self, refusal: Reply) -> None:
        """Leave nothing of a refused transaction to the next one."""
        try:
            self.line.phase("RSET")
            if refusal.code == _CLOSING or self.line.docmd("RSET")[0] not in DONE:
                self.line.close()
        except (OSError, Broken):
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


def _max_transactions(limits: str) -> int:
    """Read what the relay announced of its limits (RFC 9422)."""
    found = re.search(r"MAILMAX=(\d{1,9})", limits.upper())
    return min(MAX_TRANSACTIONS, int(found[1])) if found else MAX_TRANSACTIONS


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
