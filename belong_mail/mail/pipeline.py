"""Many messages over one connection: each envelope travels with the body before it (RFC 2920)."""

from dataclasses import replace
from typing import Final

from belong_mail.mail.address import AddressRefused
from belong_mail.mail.connection import Unreachable, why
from belong_mail.mail.dialogue import DONE, Dialogue, checked, reply_to
from belong_mail.mail.feed import WELCOME, Feed, Parcel
from belong_mail.mail.line import Broken
from belong_mail.mail.message import MessageRefused
from belong_mail.mail.outcomes import Reply

_VERBS: Final = ("MAIL", "RCPT", "DATA")
_GO_AHEAD, _CLOSING = 354, 421
_ACCEPTED, _INVITED = b"250 ", b"354 "


class Pipeline:
    """Drives a connection for as long as there are parcels; one body is in flight at a time."""

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

    def run(self, parcel: Parcel) -> None:
        """Send this parcel and those that follow, until nothing waits or the connection ends."""
        following: Parcel | None = parcel
        try:
            while following is not None and (self._is_invited or self._dialogue.is_open):
                following = self._send(following)
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

    def _send(self, parcel: Parcel) -> Parcel | None:
        """Hand a parcel over and return the next one, which may have been said already."""
        if not self._is_invited and (words := self._words(parcel)):
            self._said = parcel
            self._begin()
            self._line.refuse_chatter()
            self._line.write(words)
            self._hear(parcel)
        if self._is_invited:
            return self._finish(parcel)
        return self._feed.take(0)

    def _finish(self, parcel: Parcel) -> Parcel | None:
        """Send the dot with what comes next, and settle it by the answer."""
        self._line.now = "body"
        self._line.refuse_surplus()
        self._feed.mark(parcel)
        self._said, self._is_invited = None, False
        following, words = self._prefetch()
        self._sent, self._said = parcel, following
        self._line.await_dot()
        self._line.write(parcel.envelope.message + (b".\r\n" + words))
        lines = self._line.burst(4 if words else 1)
        if lines and lines[0][:4] == _ACCEPTED:
            reply, rest = WELCOME, lines[1:]
        else:
            self._line.unread(lines)
            reply, rest = reply_to("DOT", *self._line.getreply()), []
        self._sent, self._is_proven = None, True
        may_go_on = self._feed.answered(parcel, reply)
        if reply.code == _CLOSING:
            self._line.close()
        if reply.code == _CLOSING or not may_go_on:
            self._hang_up()
            return None
        if following is None:
            return self._feed.take(0)
        self._hear(following, rest)
        return following if self._is_invited else self._feed.take(0)

    def _prefetch(self) -> tuple[Parcel | None, bytes]:
        """Take what comes next, if this connection may carry it, and the words that say it."""
        if self._dialogue.room() > 0:
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

    def _hear(self, parcel: Parcel, lines: list[bytes] | None = None) -> None:
        """Read what the relay says to an envelope; a refusal settles it."""
        if not lines:
            self._begin()
            lines = self._line.burst(3)
        if [line[:4] for line in lines] == [_ACCEPTED, _ACCEPTED, _INVITED]:
            self._is_invited = True
            return
        self._begin()
        self._line.unread(lines)
        refusal = self._refusal()
        if refusal is None:
            self._is_invited = True
            return
        self._said = None
        if (refusal.verb, refusal.code) == ("MAIL", _CLOSING) and self._is_proven:
            self._feed.unsaid(parcel)
            self._line.close()
        elif not self._feed.answered(parcel, refusal):
            self._hang_up()

    def _begin(self) -> None:
        """Begin the clock of a transaction."""
        self._line.start_clock()
        self._line.phase("MAIL")

    def _refusal(self) -> Reply | None:
        """Return the first refusal of an envelope's three replies, once the relay expects MAIL."""
        refusal, is_invited = None, False
        for verb, share in zip(_VERBS, (1.0, 1.0, 0.4), strict=True):
            self._line.phase(verb, share)
            code, text = self._line.getreply()
            if verb == "DATA" and code == _GO_AHEAD:
                is_invited = True
            elif verb == "DATA" and code in DONE and refusal is None:
                raise Broken("a reply to something else")
            elif code not in DONE:
                refusal = refusal or reply_to(verb, code, text)
            if code == _CLOSING:
                break
        if refusal is not None:
            if is_invited:
                self._line.phase("DATA")
                self._line.write(b".\r\n")
                self._line.getreply()
            self._dialogue.forget(refusal)
        return refusal

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
