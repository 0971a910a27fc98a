"""One connection to a mail server of the tests; strict about line ends (RFC 5321 2.3.8)."""

import re
import socket
import ssl
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tests.servers.actions import Action, Over, Say
from tests.servers.desk import Desk

EXTENSIONS = ("PIPELINING", "SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")
# For a server that wants each reply read before the next command.
SLOW = tuple(each for each in EXTENSIONS if each != "PIPELINING")

# Nothing may follow these before their reply was read (RFC 2920, 3.1).
LAST_IN_GROUP = {"EHLO", "LHLO", "HELO", "DATA", "NOOP", "QUIT", "STARTTLS", "AUTH"}

GREETINGS = ("EHLO", "LHLO", "HELO")
ANSWERS = {
    "CONNECT": "220 relay.example.org ESMTP", "STARTTLS": "220 2.0.0 Go ahead",
    "MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 End with a dot",
    "DATA UNINVITED": "503 5.5.1 No recipients", "DOT": "250 2.0.0 Ok: queued",
    "RSET": "250 2.0.0 Ok", "NOOP": "250 2.0.0 Ok", "QUIT": "221 2.0.0 Bye",
}  # fmt: skip
PATH = re.compile(r"<(.*?)>")
SIZE = re.compile(r" SIZE=(\d+)")
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
MUCH, LITTLE = 65536, 400


@dataclass(frozen=True)
class Manners:
    tls: Literal["none", "starttls", "implicit"]
    context: ssl.SSLContext | None
    extensions: tuple[str, ...]
    users: dict[str, str]
    mechanisms: str
    # Users by the token that opens (XOAUTH2); None: no token does.
    bearers: Mapping[str, str] | None = None

    @cached_property
    def size(self) -> int:
        """Octets that a message may have (RFC 1870); 0: any number."""
        return self._number(r"SIZE (\d+)")

    @cached_property
    def mailmax(self) -> int:
        """Transactions on a connection (RFC 9422); 0: any number."""
        return self._number(r"LIMITS .*MAILMAX=(\d+)")

    def _number(self, pattern: str) -> int:
        found = re.search(pattern, "\n".join(self.extensions))
        return int(found[1]) if found else 0

    def complaint(self, command: str, verb: str, ahead: bytes) -> str:
        """Say what is wrong with a command and what was sent with it, "" if nothing."""
        if ahead and "PIPELINING" not in self.extensions:
            return f"{verb}: the next command before this one's reply"
        if ahead and verb in LAST_IN_GROUP:
            return f"{verb}: something in the same group"
        if not command.isascii() and "SMTPUTF8" not in self.extensions:
            return f"{verb}: not ASCII"
        return ""


class Conversation:
    """Answers as scripted, and well where nothing is.

    Replies wait until somebody has to read them, so that a group of commands gets its replies in
    one packet (RFC 2920, 3.2).
    """

    def __init__(self, desk: Desk, manners: Manners, sock: socket.socket) -> None:
        self.mailer, self.manners, self.sock = desk, manners, sock
        self.stopping = desk.stopping
        self.code = ""
        self._buffer = b""
        self._replies = b""
        self._is_secure = self._is_lmtp = False
        self._return_path: str | None = None
        self._recipients: list[str] = []
        self._transactions = 0

    def run(self) -> None:
        with suppress(Over, OSError):
            if self.manners.tls == "implicit":
                self._secure()
            self._answer("CONNECT")
            while self.code != "221":
                self._obey(self._read_line())
            self.flush()
        self.sock.close()

    def say(self, text: str) -> None:
        lines = [line[:3] + "-" + line[4:] for line in text.split("\n")]
        lines[-1] = lines[-1][:3] + " " + lines[-1][4:]
        self._replies += "".join(f"{line}\r\n" for line in lines).encode()
        self.code = text[:3]

    def write(self, data: bytes) -> None:
        self.flush()
        self.sock.sendall(data)

    def flush(self) -> None:
        replies, self._replies = self._replies, b""
        if replies:
            self.sock.sendall(replies)

    def _obey(self, command: str) -> None:
        self.mailer.commands.append(command)
        verb = command.partition(" ")[0].upper()
        path = found[1] if (found := PATH.search(command)) else ""
        self._tell(verb, command)
        if complaint := self.manners.complaint(command, verb, self._buffer):
            self.mailer.faults.append(complaint)
        if verb in GREETINGS:
            self._is_lmtp = verb == "LHLO"
            self._forget()
            self._answer(verb, usual=self._greeting())
        elif verb == "AUTH":
            is_known = self._knows(command)
            self._answer(verb, usual="235 2.7.0 Welcome" if is_known else "535 5.7.8 No")
        elif verb == "MAIL":
            self._begin(command, path)
        elif verb == "RCPT":
            self._consider(path)
        elif verb == "DATA":
            self._invite()
        elif verb in ANSWERS:
            self._answer(verb)
            self._follow(verb)
        else:
            self.say("500 5.5.2 What?")
        if verb != "DATA":
            self._tell(f"after {verb}", command)

    def _begin(self, command: str, path: str) -> None:
        self._transactions += 1
        size = int(found[1]) if (found := SIZE.search(command)) else 0
        usual = ""
        if 0 < self.manners.mailmax < self._transactions:
            self.mailer.faults.append("MAIL: more than LIMITS MAILMAX")
            usual = "452 4.5.3 Too many messages on this connection"
        elif 0 < self.manners.size < size:
            usual = "552 5.3.4 Too large"
        self._answer("MAIL", usual=usual)
        self._recipients = []
        self._return_path = path if self.code[:1] == "2" else None

    def _consider(self, path: str) -> None:
        self._tell(f"RCPT {path}", path)
        usual = "" if self._return_path is not None else "503 5.5.1 Need MAIL"
        self._answer(f"RCPT {path}", "RCPT", usual=usual)
        if self.code[:1] == "2":
            self._recipients.append(path)

    def _invite(self) -> None:
        """Ask for the message; who asks although no recipient was taken gets one to throw away."""
        if not self._recipients:
            self._answer("DATA UNINVITED")
            if self.code == "354":
                self._read_message()
                self.say("554 5.5.1 No valid recipients")
            return
        self._answer(*(f"DATA {each}" for each in self._recipients), "DATA")
        self._tell("after DATA", "DATA")
        if self.code == "354":
            self._take(self._read_message())

    def _follow(self, verb: str) -> None:
        """Do what the answer promised."""
        if verb == "STARTTLS" and self.code == "220":
            self._buffer = b""
            self.flush()
            self._secure()
        elif verb == "RSET":
            self._forget()

    def _answer(self, *verbs: str, usual: str = "") -> None:
        usual = usual or ANSWERS[verbs[-1]]
        self._act(self.mailer.action(*verbs), usual)

    def _act(self, action: Action | None, usual: str) -> None:
        self.code = usual[:3]
        if action is not None and not isinstance(action, Say):
            self.flush()
        (action or Say(usual))(self)

    def _take(self, data: bytes) -> None:
        """Accept unless the answer refuses: an answer that is lost was a good one.

        LMTP answers for each recipient (RFC 2033, 4.2).
        """
        self._tell("DOT", ".")
        recipients, return_path = self._recipients, self._return_path or ""
        self._forget()
        for group in [[each] for each in recipients] if self._is_lmtp else [recipients]:
            action = self.mailer.action(*(f"DOT {each}" for each in group), "DOT")
            if not (isinstance(action, Say) and action.is_refusal):
                is_answered = action is None or isinstance(action, Say)
                for recipient in group:
                    self.mailer.take(return_path, recipient, data, is_answered=is_answered)
            if action is None and self.mailer.delay:
                self.stopping.wait(self.mailer.delay)
            self._act(action, ANSWERS["DOT"])
        self._tell("after DOT", ".")

    def _read_message(self) -> bytes:
        """Read up to CRLF.CRLF and nothing like it; undo the stuffing of dots."""
        verbs = (*(f"BODY {each}" for each in self._recipients), "BODY")
        read, looked_at = bytearray(b"\r\n" + self._buffer), 0
        self._buffer = b""
        while (end := read.find(b"\r\n.\r\n", looked_at)) < 0:
            looked_at = max(0, len(read) - 4)
            action = self.mailer.action(*verbs)
            self._receive(LITTLE if action else MUCH)
            read += self._buffer
            self._buffer = b""
            if action:
                action(self)
        body, self._buffer = bytes(read[:end]), bytes(read[end + 5 :])
        if BARE.search(body):
            self.mailer.faults.append("a bare CR, LF or NUL in a message")
        return body.replace(b"\r\n.", b"\r\n")[2:] + b"\r\n"

    def _read_line(self) -> str:
        while b"\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            self.mailer.faults.append("a command that ends with a bare LF")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _receive(self, most: int = MUCH) -> None:
        self.flush()
        data = self.sock.recv(most)
        if not data:
            raise Over
        self._buffer += data

    def _tell(self, moment: str, command: str) -> None:
        if self.mailer.is_watched(moment):
            self.flush()
            self.mailer.tell(moment, command)

    def _secure(self) -> None:
        if self.manners.context is None:
            raise Over
        self.sock = self.manners.context.wrap_socket(self.sock, server_side=True)
        self._is_secure = True

    def _greeting(self) -> str:
        offers = list(self.manners.extensions)
        if self.manners.tls == "starttls" and not self._is_secure:
            offers.append("STARTTLS")
        if self.manners.bearers is not None:
            offers.append("AUTH XOAUTH2 PLAIN")
        elif self.manners.users:
            offers.append(f"AUTH {self.manners.mechanisms}")
        return "\n".join(f"250 {line}" for line in ("relay.example.org", *offers))

    def _knows(self, command: str) -> bool:
        _, mechanism, *first = command.split(" ")
        if mechanism.upper() == "XOAUTH2":
            return self._knows_bearer(b64decode(first[0]).decode())
        if mechanism.upper() == "PLAIN":
            _, user, password = b64decode(first[0]).decode().split("\0")
        else:
            user = b64decode(first[0]).decode() if first else self._ask("334 VXNlcm5hbWU6")
            password = self._ask("334 UGFzc3dvcmQ6")
        return self.manners.users.get(user) == password

    def _knows_bearer(self, said: str) -> bool:
        """Refuse as Google does: by a challenge, which wants an empty answer."""
        user, bearer, *ends = said.split("\x01")
        token = bearer.removeprefix("auth=Bearer ")
        whose = (self.manners.bearers or {}).get(token)
        if whose is not None and (user, ends) == (f"user={whose}", ["", ""]):
            return True
        if self._ask("334 eyJzdGF0dXMiOiI0MDAifQ=="):
            self.mailer.faults.append("AUTH: an answer to the challenge of a refused token")
        return False

    def _ask(self, challenge: str) -> str:
        self.say(challenge)
        return b64decode(self._read_line()).decode()

    def _forget(self) -> None:
        self._return_path, self._recipients = None, []
