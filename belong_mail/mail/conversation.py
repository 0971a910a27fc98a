"""Many messages over one connection: each envelope travels with the body before it (RFC 2920).

A relay that does not announce that gets one command at a time.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from belong_mail.mail.address import AddressRefused
from belong_mail.mail.connection import Unreachable, why
from belong_mail.mail.dialogue import AT_ONCE, CLOSING, Dialogue, checked, reply_to
from belong_mail.mail.feed import WELCOME, Feed, Parcel
from belong_mail.mail.line import Broken
from belong_mail.mail.message import MessageRefused
from belong_mail.mail.steps import Steps, Wait

_OK, _GO = rb"250 [^\r\n]{0,506}\r\n", rb"354 [^\r\n]{0,506}\r\n"
_WELL: Final = re.compile(_OK)
_GO_ON: Final = re.compile(rb"(?:%b){2}%b" % (_OK, _GO))
_ALL_WELL: Final = re.compile(rb"(?:%b){3}%b" % (_OK, _GO))
"""What relays say to a dot, to an envelope, and to both; all else is read reply by reply."""


class Conversation:
    """Goes on for as long as there are parcels; one body is in flight at a time."""

    def __init__(self, dialogue: Dialogue, feed: Feed) -> None:
        self._dialogue = dialogue
        self._line = dialogue.line
        self._feed = feed
        self._said: Parcel | None = None
        """The relay was told its envelope, and has not got its dot."""
        self._sent: Parcel | None = None
        """Its dot was written, and no answer has come."""
        self._is_invited = False
        """The relay waits for the body of what was said."""
        self._is_proven = dialogue.sent > 0
        """The connection has worked: if it breaks at MAIL, it was only old."""

    def run(self, parcel: Parcel) -> Steps[None]:
        """Send this parcel and those that follow, until no more come or the connection ends."""
        following: Parcel | None = parcel
        try:
            while following is not None and (self._is_invited or self._dialogue.is_open):
                following = yield from self._send(following)
                if following is None and self._dialogue.is_open:
                    following = yield Wait.PARCEL
        except (OSError, Broken) as error:
            self._give_up(Unreachable(self._line.now, why(error)))
        except Unreachable as error:
            self._give_up(error)
        except BaseException:
            self._give_up(Unreachable(self._line.now, "interrupted"))
            raise
        else:
            if following is not None:
                self._feed.unsaid(following)

    def _send(self, parcel: Parcel) -> Steps[Parcel | None]:
        """Hand a parcel over and return the next one, which may have been said already."""
        if parcel.is_stale and not self._is_invited:  # the connection took long to open
            self._feed.unsaid(parcel)
            return self._feed.take(0)
        if not self._is_invited and (words := self._words(parcel)):
            self._said = parcel
            self._dialogue.start()
            self._line.refuse_chatter()
            if self._dialogue.is_pipelining:
                yield from self._line.say(words)
                yield from self._hear(parcel)
            else:
                yield from self._judge(parcel, words.splitlines(keepends=True))
        if self._is_invited:
            return (yield from self._finish(parcel))
        return self._feed.take(0)

    def _finish(self, parcel: Parcel) -> Steps[Parcel | None]:
        """Send a dot with what comes next, settle it by the answer, and so on while all is well."""
        while True:
            following = yield from self._say_the_end(parcel)
            if not self._line.hears(_ALL_WELL if following else _WELL):
                return (yield from self._hear_the_end(parcel, following))
            self._sent, self._is_proven, self._is_invited = None, True, following is not None
            if not self._feed.answered(parcel, WELCOME):
                self._hang_up()
                return None
            if following is None:
                return self._feed.take(0)
            parcel = following

    def _say_the_end(self, parcel: Parcel) -> Steps[Parcel | None]:
        """Write the dot with the envelope of what comes next, which is returned, and wait."""
        body = parcel.envelope.message
        if len(body) > AT_ONCE or not self._dialogue.is_pipelining:
            yield from self._dialogue.say_body(body)
            body = b""
        self._line.now = "body"
        self._line.refuse_surplus()
        self._feed.mark(parcel)
        self._said, self._is_invited = None, False
        following, words = self._prefetch()
        self._sent, self._said = parcel, following
        self._line.await_dot()
        if rest := self._line.begin_to_say(body + (b".\r\n" + words)):
            yield from self._line.say_on(rest)
        if self._line.is_silent():
            yield Wait.READ
        return following

    def _hear_the_end(self, parcel: Parcel, following: Parcel | None) -> Steps[Parcel | None]:
        """Read the replies one by one, to a dot and to what came with it."""
        code, text = yield from self._line.reply()
        reply = reply_to("DOT", code, text)
        self._sent, self._is_proven = None, True
        may_go_on = self._feed.answered(parcel, reply)
        if reply.code == CLOSING:
            self._line.close()
        if reply.code == CLOSING or not may_go_on:
            self._hang_up()
            return None
        if following is not None:
            yield from self._hear(following)
        return following if self._is_invited else self._feed.take(0)

    def _prefetch(self) -> tuple[Parcel | None, bytes]:
        """Take what comes next, if this connection may carry it, and the words that say it."""
        if self._dialogue.is_pipelining and self._dialogue.room() > 0:
            while (parcel := self._feed.take(0)) is not None:
                if words := self._words(parcel):
                    return parcel, words
        return None, b""

    def _words(self, parcel: Parcel) -> bytes:
        """Return MAIL, RCPT and DATA; nothing, once it is settled, if this cannot be said."""
        envelope, dialogue = parcel.envelope, self._dialogue
        try:
            body = checked(envelope)
        except (AddressRefused, MessageRefused):
            self._feed.unwritable(parcel)
            return b""
        if too_large := dialogue.too_large(body):
            self._feed.answered(parcel, too_large)
            return b""
        dialogue.sent += 1
        if body is not envelope.message:
            envelope = parcel.envelope = replace(envelope, message=body)
        said = f"MAIL {dialogue.mail(envelope)}\r\nRCPT {dialogue.rcpt(envelope)}\r\nDATA\r\n"
        return said.encode("ascii")

    def _hear(self, parcel: Parcel) -> Steps[None]:
        """Read what the relay says to an envelope."""
        self._dialogue.start()
        if self._line.is_silent():
            yield Wait.READ
        if self._line.hears(_GO_ON):
            self._is_invited = True
        else:
            yield from self._judge(parcel)

    def _judge(self, parcel: Parcel, commands: Sequence[bytes] = ()) -> Steps[None]:
        """Read the replies to an envelope one by one; a refusal settles it."""
        refusal = yield from self._dialogue.hear(commands)
        if refusal is None:
            self._is_invited = True
            return
        self._said = None
        if (refusal.verb, refusal.code) == ("MAIL", CLOSING) and self._is_proven:
            self._feed.unsaid(parcel)
            self._line.close()
        elif not self._feed.answered(parcel, refusal):
            self._hang_up()

    def _hang_up(self) -> None:
        """End the connection without a further dot."""
        said, self._said, self._is_invited = self._said, None, False
        if said is not None:
            self._feed.unsaid(said)
            self._line.close()

    def _give_up(self, error: Unreachable) -> None:
        """Settle what was under way when the connection broke."""
        self._line.close()
        if self._sent is not None:
            self._feed.doubtful(self._sent)
            if self._said is not None:
                self._feed.unsaid(self._said)
        elif self._said is not None and error.phase == "MAIL" and self._is_proven:
            self._feed.unsaid(self._said)
        elif self._said is not None:
            self._feed.broke(self._said, error)
        self._sent = self._said = None
