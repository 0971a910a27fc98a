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

MAX_TRANSACTIONS: Final = 100
"""On one connection, where the relay names no smaller number (RFC 9422)."""

_DATA_SHARE, _BODY_SHARE = 0.4, 0.6
"""Of the time-out for MAIL and RCPT: RFC 5321 4.5.3.2 gives 2 and 3 minutes where those have 5."""

_DONE: Final = range(200, 300)
_GO_AHEAD, _CLOSING = 354, 421
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")


class AnswerLost(Exception):
    """The final dot was written and no whole answer came: the message may have been accepted."""


class Dialogue:
    """One connection, one message at a time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.sent = 0
        """Transactions begun."""

    @classmethod
    def open(cls, relay: Relay) -> "Dialogue":
        """Connect to the relay, or raise Unreachable."""
        return cls(connect(relay))

    @property
    def is_open(self) -> bool:
        """Whether another message may be sent."""
        return self._line.sock is not None and self.sent < self._max_transactions()

    def send(self, envelope: Envelope, before_dot: Callable[[], None]) -> Reply:
        """Hand the envelope over and return the relay's answer, to the dot or to what it refused.

        `before_dot` is called when all but the final dot has been written: until it returns, the
        message is certainly not accepted. Raises Unreachable, AnswerLost; AddressRefused and
        MessageRefused before a word is said.
        """
        body = _checked(envelope)
        if too_large := self._too_large(body):
            return too_large
        self.sent += 1
        with self._handing_over():
            self._line.start_clock()
            self._line.phase("MAIL")
            self._line.refuse_chatter()
            refusal = (
                self._ask("MAIL", f"FROM:<{envelope.return_path}>{self._about_mail(envelope)}")
                or self._ask("RCPT", f"TO:<{envelope.recipient}>{self._about_recipient(envelope)}")
                or self._ask("DATA", share=_DATA_SHARE)
            )
            if refusal:
                self._forget(refusal)
                return refusal
            self._line.phase("body", _BODY_SHARE)
            self._line.write(body)
            self._line.refuse_chatter()
            before_dot()
        return self._finish()

    def close(self) -> None:
        """Say goodbye; what was accepted stays accepted, whatever happens now."""
        with suppress(OSError, Broken):
            self._line.start_clock()
            self._line.phase("QUIT", share=0.05)
            self._line.docmd("QUIT")
        self._line.close()

    @contextmanager
    def _handing_over(self) -> Iterator[None]:
        """Whatever is raised within, the connection is closed without a final dot."""
        try:
            yield
        except (OSError, Broken) as error:
            self._line.close()
            raise Unreachable(self._line.now, why(error)) from None
        except BaseException:
            self._line.close()
            raise

    def _ask(self, verb: str, arguments: str = "", share: float = 1.0) -> Reply | None:
        """Return the reply if it refuses, nothing if it lets us go on."""
        self._line.phase(verb, share)
        code, text = self._line.docmd(verb, arguments)
        if verb == "DATA" and code == _GO_AHEAD:
            return None
        reply = _reply(verb, code, text)
        if verb == "DATA" and code in _DONE:
            raise Broken("a reply to something else")
        return None if code in _DONE else reply

    def _finish(self) -> Reply:
        try:
            self._line.await_dot()
            self._line.write(b".\r\n")
            reply = _reply("DOT", *self._line.getreply())
        except (OSError, Broken) as error:
            self._line.close()
            raise AnswerLost(why(error)) from None
        except BaseException:
            self._line.close()
            raise
        if reply.code == _CLOSING:
            self._line.close()
        return reply

    def _forget(self, refusal: Reply) -> None:
        """Leave nothing of a refused transaction to the next one."""
        try:
            self._line.phase("RSET")
            if refusal.code == _CLOSING or self._line.docmd("RSET")[0] not in _DONE:
                self._line.close()
        except (OSError, Broken):
            self._line.close()

    def _too_large(self, body: bytes) -> Reply | None:
        limit = self._line.esmtp_features.get("size", "")
        if limit.isdigit() and 0 < int(limit) < len(body):
            return Reply(552, "5.3.4 The message is larger than the relay announced", "MAIL")
        return None

    def _about_mail(self, envelope: Envelope) -> str:
        size = f" SIZE={len(envelope.message)}" if self._line.has_extn("size") else ""
        if not self._line.has_extn("dsn") or not envelope.return_path:
            return size
        return f"{size} RET=HDRS ENVID={_xtext(envelope.return_path.rpartition('@')[0])}"

    def _about_recipient(self, envelope: Envelope) -> str:
        if not self._line.has_extn("dsn") or not envelope.return_path:
            return ""
        return f" NOTIFY=FAILURE,DELAY ORCPT=rfc822;{_xtext(envelope.recipient)}"

    def _max_transactions(self) -> int:
        found = re.search(r"MAILMAX=(\d{1,9})", self._line.esmtp_features.get("limits", "").upper())
        return min(MAX_TRANSACTIONS, int(found[1])) if found else MAX_TRANSACTIONS


def _checked(envelope: Envelope) -> bytes:
    """Return the body with its dots stuffed; nothing in it may look like the end of it."""
    check_envelope(envelope.recipient)
    if envelope.return_path:
        check_envelope(envelope.return_path)
    body = envelope.message
    ends = body.count(b"\r\n")
    if body.count(b"\n") != ends or body.count(b"\r") != ends or b"\0" in body:
        raise MessageRefused("A line does not end as it must.")
    if not body.endswith(b"\r\n") or not body.isascii():
        raise MessageRefused("The message is not finished, or not ASCII.")
    if body.startswith(b"."):
        body = b"." + body
    return body.replace(b"\r\n.", b"\r\n..")


def _reply(verb: str, code: int, text: bytes) -> Reply:
    if code // 100 == _GO_AHEAD // 100:
        raise Broken("a reply to something else")
    return Reply(code, text.decode("utf-8", "replace"), verb)


def _xtext(text: str) -> str:
    """Return text as RFC 3461 4 writes it within a command."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)
