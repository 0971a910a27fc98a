"""Send messages in one SMTP session, pipelined if possible (RFC 5321, RFC 2920, RFC 3030)."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from belong_mail.mail.address import InvalidAddress, check_envelope
from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.message.mime import Copy
from belong_mail.mail.smtp.connection import (
    ProtocolError,
    Relay,
    RelayUnavailable,
    SmtpConnection,
    SmtpSteps,
    connect,
    network_reason,
)
from belong_mail.mail.smtp.protocol import WELCOME, MessageSource, OutgoingMessage
from belong_mail.mail.smtp.replies import Reply

# Messages over one connection, unless the relay announces fewer (RFC 9422).
MAX_TRANSACTIONS: Final = 1000
# Most bytes of a message that is written together with its dot: any socket's buffer takes them.
ONE_SEND_OCTETS: Final = 64_000
CLOSING_CODE: Final = 421
_MAILMAX: Final = re.compile(r"(?<!\S)MAILMAX=([1-9][0-9]{0,5})(?!\S)")
# Digits of an announced limit (RFC 9422, 4.1; RFC 1870, 3); anything else means no limit.
_SIZE: Final = re.compile(r"[0-9]{1,20}")
_ACCEPTED: Final = range(200, 300)
_START_DATA: Final = 354
_BLOCK: Final = 1 << 18
# The share of the timeout for each block of a body: 3 minutes where MAIL and RCPT have 5. The
# transaction's deadline limits all blocks together.
_BLOCK_SHARE: Final = 0.6
# Each verb's share of the timeout: RFC 5321 4.5.3.2 gives DATA 2 minutes, the others 5.
_VERBS: Final = (("MAIL", 1.0), ("RCPT", 1.0), ("DATA", 0.4))


class SmtpSession:
    """A connection with the limits and extensions that the relay announced."""

    def __init__(self, connection: SmtpConnection, *, is_pipelining: bool = True) -> None:
        self.line = connection
        self.is_pipelining = is_pipelining and connection.has_extn("pipelining")
        """Whether commands may be sent without waiting for each reply (RFC 2920)."""
        self.sent = 0
        """Number of transactions begun."""
        features = connection.esmtp_features
        limits, size = (features.get(name, "") for name in ("limits", "size"))
        announced = _MAILMAX.search(limits.upper())
        self._most = min(MAX_TRANSACTIONS, int(announced[1])) if announced else MAX_TRANSACTIONS
        self._has_size, self._has_dsn = (name in features for name in ("size", "dsn"))
        self._max_size = int(size) if _SIZE.fullmatch(size) else 0
        """The largest message that the relay accepts, in bytes; 0 if it announced none."""

    @classmethod
    def open(cls, relay: Relay) -> "SmtpSession":
        """Connect to the relay, or raise RelayUnavailable."""
        return cls(connect(relay), is_pipelining=relay.pipelining)

    @property
    def is_open(self) -> bool:
        """Return whether another transaction may begin."""
        return self.line.sock is not None and self.room() > 0

    def close(self) -> None:
        """Send QUIT, and close the connection whatever happens."""
        with suppress(OSError, ProtocolError):
            self.line.start_clock()
            self.line.phase("QUIT", share=0.05)
            self.line.docmd("QUIT")
        self.line.close()

    def start(self) -> None:
        """Start the deadline of a transaction."""
        self.line.start_clock()
        self.line.phase("MAIL")

    def hear(self, commands: Sequence[bytes] = ()) -> SmtpSteps[Reply | None]:
        """Return the first refusal of MAIL, RCPT and DATA, or None if the body may follow.

        `commands` are sent one by one, each after a reply; empty if all were sent (pipelining).
        """
        refusal, is_invited = None, False
        for index, (verb, share) in enumerate(_VERBS):
            self.line.phase(verb, share)
            if commands:
                self.line.expect_no_more()
                yield from self.line.say(commands[index])
            code, text = yield from self.line.reply()
            if verb == "DATA" and code == _START_DATA:
                is_invited = True
            elif verb == "DATA" and code in _ACCEPTED and refusal is None:
                raise ProtocolError("a reply to something else")
            elif code not in _ACCEPTED:
                refusal = refusal or reply_to(verb, code, text)
            if code == CLOSING_CODE or (commands and refusal):
                break
        if refusal is not None:
            if is_invited:
                self.line.phase("DATA")
                yield from self.line.say(b".\r\n")
                yield from self.line.reply()
            yield from self._forget(refusal)
        return refusal

    def send_body(self, *body: bytes) -> SmtpSteps[None]:
        """Send a body without its dot, so that the relay cannot have accepted it yet.

        After a long body, waits until the socket takes more: nothing may delay a dot that the
        journal has marked.
        """
        for part in body:
            for begin in range(0, len(part), _BLOCK):
                self.line.phase("body", _BLOCK_SHARE)
                yield from self.line.say(part[begin : begin + _BLOCK])
        if sum(map(len, body)) > ONE_SEND_OCTETS:
            yield "write"
        self.line.expect_silence()

    def _forget(self, refusal: Reply) -> SmtpSteps[None]:
        """Send RSET after a refusal, or close, so that the next transaction begins afresh."""
        try:
            self.line.phase("RSET")
            if refusal.code != CLOSING_CODE:
                self.line.expect_no_more()
                yield from self.line.say(b"RSET\r\n")
                code, _ = yield from self.line.reply()
                if code in _ACCEPTED:
                    return
        except (OSError, ProtocolError):
            pass
        self.line.close()

    def too_large(self, octets: int) -> Reply | None:
        """Return a refusal (552) if a message is larger than the relay announced (RFC 1870)."""
        if 0 < self._max_size < octets:
            return Reply(552, "5.3.4 The message is larger than the relay announced", "MAIL")
        return None

    def words(self, sender: str, recipient: str, octets: int) -> bytes:
        """Return MAIL, RCPT and DATA, with SIZE (RFC 1870) and DSN (RFC 3461) where offered."""
        mail, rcpt = f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"
        if self._has_size:
            mail += f" SIZE={octets}"
        if self._has_dsn and sender:
            mail += f" RET=HDRS ENVID={xtext(sender.rpartition('@')[0])}"
            rcpt += f" NOTIFY=FAILURE,DELAY ORCPT=rfc822;{xtext(recipient)}"
        return f"{mail}\r\n{rcpt}\r\nDATA\r\n".encode("ascii")

    def room(self) -> int:
        """Return how many more transactions may begin."""
        return self._most - self.sent


def require_valid(copy: Copy) -> None:
    """Raise InvalidAddress or InvalidMessage for a copy that SMTP cannot carry."""
    check_envelope(copy.recipient)
    if copy.is_verified:
        return
    body = copy.message
    if copy.return_path:
        check_envelope(copy.return_path)
    if copy.end:
        raise InvalidMessage("What was not verified has no end in common with others.")
    ends = body.count(b"\r\n")
    if body.count(b"\n") != ends or body.count(b"\r") != ends or b"\0" in body:
        raise InvalidMessage("A line does not end as it must.")
    if not body.endswith(b"\r\n") or not body.isascii():
        raise InvalidMessage("The message is not finished, or not ASCII.")


def stuffed(body: bytes) -> bytes:
    """Double each dot that begins a line: alone on a line, it ends a message (RFC 5321, 4.5.2)."""
    return (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]


def reply_to(verb: str, code: int, text: bytes) -> Reply:
    """Return the reply to a verb. Raises ProtocolError for a 3xx, which only DATA expects."""
    if code // 100 == _START_DATA // 100:
        raise ProtocolError("a reply to something else")
    return Reply(code, text.decode("utf-8", "replace"), verb)


def xtext(address: str) -> str:
    """Encode a checked address as xtext (RFC 3461, 4): of its characters, + and = need it."""
    return address.replace("+", "+2B").replace("=", "+3D")


_PIPELINE_OK, _DATA_READY = rb"250 .{0,506}\r\n", rb"354 .{0,506}\r\n"
_POSITIVE: Final = re.compile(_PIPELINE_OK)
_CONTINUE: Final = re.compile(rb"(?:%b){2}%b" % (_PIPELINE_OK, _DATA_READY))
# Matches no reply, so that each is parsed.
_NOTHING: Final = re.compile(rb"(?!)")
# The usual replies to a dot, to an envelope, and to both, matched at once; others are parsed.
_ALL_POSITIVE: Final = re.compile(rb"(?:%b){3}%b" % (_PIPELINE_OK, _DATA_READY))


class SmtpPipeline:
    """Sends messages over one connection, each envelope pipelined with the dot before it."""

    def __init__(self, session: SmtpSession, source: MessageSource) -> None:
        self._dialogue = session
        self._line = session.line
        self._source = source
        self._said: OutgoingMessage | None = None
        """The message whose envelope was sent, and whose dot was not."""
        self._sent: OutgoingMessage | None = None
        """The message whose dot was sent, and not answered yet."""
        self._is_invited = False
        """Whether the relay has answered DATA with 354 for the message of `_said`."""
        self._is_proven = session.sent > 0
        """Whether a transaction has ended here: a break at MAIL then means an idle timeout."""

    def run(self, outgoing: OutgoingMessage) -> SmtpSteps[None]:
        """Send this message and those that follow, waiting between them, until the end."""
        following: OutgoingMessage | None = outgoing
        try:
            while following is not None and (self._is_invited or self._dialogue.is_open):
                following = yield from self._send(following)
                if following is None and self._dialogue.is_open:
                    following = yield "message"
        except (OSError, ProtocolError) as error:
            self._give_up(RelayUnavailable(self._line.now, network_reason(error)))
        except RelayUnavailable as error:
            self._give_up(error)
        except BaseException:
            self._give_up(RelayUnavailable(self._line.now, "interrupted"))
            raise
        else:
            if following is not None:
                self._source.requeue(following)

    def _send(self, outgoing: OutgoingMessage) -> SmtpSteps[OutgoingMessage | None]:
        """Send a message; return the next one, whose envelope may have been sent already."""
        if outgoing.is_stale and not self._is_invited:  # the connection took long to open
            self._source.requeue(outgoing)
            return self._next()
        if not self._is_invited and (words := self._words(outgoing)):
            self._said = outgoing
            self._dialogue.start()
            self._line.expect_silence()
            if self._dialogue.is_pipelining:
                yield from self._line.say(words)
                yield from self._hear(outgoing)
            else:
                yield from self._judge(outgoing, words.splitlines(keepends=True))
        if self._is_invited:
            return (yield from self._finish(outgoing))
        return self._next()

    def _finish(self, outgoing: OutgoingMessage) -> SmtpSteps[OutgoingMessage | None]:
        """Send a dot and read its reply, again and again while every reply is the usual one.

        A single email's replies are read one by one, for its id in the relay's queue.
        """
        while True:
            following = yield from self._send_end(outgoing)
            usual = _ALL_POSITIVE if following else _POSITIVE
            if not self._line.hears(usual if outgoing.copy.is_verified else _NOTHING):
                return (yield from self._receive_end(outgoing, following))
            self._sent, self._is_proven, self._is_invited = None, True, following is not None
            if not self._source.record_reply(outgoing, WELCOME):
                self._hang_up()
                return None
            if following is None:
                return self._next()
            outgoing = following

    def _send_end(self, outgoing: OutgoingMessage) -> SmtpSteps[OutgoingMessage | None]:
        """Send the body's end and dot with the envelope of the next message, which is returned."""
        copy = outgoing.copy
        body = copy.message if copy.is_verified else stuffed(copy.message)
        if copy.size > ONE_SEND_OCTETS or not self._dialogue.is_pipelining:
            yield from self._dialogue.send_body(body, copy.end)
            body = b""
        self._line.now = "body"
        self._line.expect_no_more()
        self._source.record_dot(outgoing)
        self._said, self._is_invited = None, False
        following, words = self._prefetch()
        self._sent, self._said = outgoing, following
        self._line.await_dot()
        if rest := self._line.start_sending(body, b".\r\n", words):
            yield from self._line.continue_sending(rest)
        if self._line.is_silent():
            yield "read"
        return following

    def _receive_end(
        self, outgoing: OutgoingMessage, following: OutgoingMessage | None
    ) -> SmtpSteps[OutgoingMessage | None]:
        """Read the replies to a dot, and to the envelope that was sent with it, one by one."""
        code, text = yield from self._line.reply()
        reply = reply_to("DOT", code, text)
        self._sent, self._is_proven = None, True
        may_go_on = self._source.record_reply(outgoing, reply)
        if reply.code == CLOSING_CODE:
            self._line.close()
        if reply.code == CLOSING_CODE or not may_go_on:
            self._hang_up()
            return None
        if following is not None:
            yield from self._hear(following)
        return following if self._is_invited else self._next()

    def _next(self) -> OutgoingMessage | None:
        """Return the next message if the connection may carry another."""
        return self._source.next_message() if self._dialogue.is_open else None

    def _prefetch(self) -> tuple[OutgoingMessage | None, bytes]:
        """Return the next message and its commands, if the connection may carry it."""
        if self._dialogue.is_pipelining and self._dialogue.room() > 0:
            while (outgoing := self._source.next_message()) is not None:
                if words := self._words(outgoing):
                    return outgoing, words
        return None, b""

    def _words(self, outgoing: OutgoingMessage) -> bytes:
        """Return MAIL, RCPT and DATA, or record why the message cannot be sent, and return b""."""
        smtp_session, copy = self._dialogue, outgoing.copy
        try:
            require_valid(copy)
        except (InvalidAddress, InvalidMessage):
            self._source.fail_unrenderable(outgoing)
            return b""
        if too_large := smtp_session.too_large(copy.size):
            self._source.record_reply(outgoing, too_large)
            return b""
        smtp_session.sent += 1
        return smtp_session.words(copy.return_path, copy.recipient, copy.size)

    def _hear(self, outgoing: OutgoingMessage) -> SmtpSteps[None]:
        """Read the replies to an envelope."""
        self._dialogue.start()
        if self._line.is_silent():
            yield "read"
        if self._line.hears(_CONTINUE):
            self._is_invited = True
        else:
            yield from self._judge(outgoing)

    def _judge(self, outgoing: OutgoingMessage, commands: Sequence[bytes] = ()) -> SmtpSteps[None]:
        """Parse the replies to an envelope; record a refusal."""
        refusal = yield from self._dialogue.hear(commands)
        if refusal is None:
            self._is_invited = True
            return
        self._said = None
        if (refusal.verb, refusal.code) == ("MAIL", CLOSING_CODE) and self._is_proven:
            self._source.requeue(outgoing)
            self._line.close()
        elif not self._source.record_reply(outgoing, refusal):
            self._hang_up()

    def _hang_up(self) -> None:
        """Close the connection; take back a message whose envelope was sent ahead."""
        said, self._said, self._is_invited = self._said, None, False
        if said is not None:
            self._source.requeue(said)
            self._line.close()

    def _give_up(self, error: RelayUnavailable) -> None:
        """Record the result of the messages under way when the connection broke."""
        self._line.close()
        if self._sent is not None:
            self._source.mark_uncertain(self._sent)
            if self._said is not None:
                self._source.requeue(self._said)
        elif self._said is not None and error.phase == "MAIL" and self._is_proven:
            self._source.requeue(self._said)
        elif self._said is not None:
            self._source.record_break(self._said, error)
        self._sent = self._said = None
