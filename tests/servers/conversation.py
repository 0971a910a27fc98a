"""One connection to a mail server of the tests; strict about line ends (RFC 5321 2.3.8)."""

import re
import socket
import ssl
import time
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tests.servers.actions import Over, Say
from tests.servers.desk import Accepted, Desk

EXTENSIONS = ("PIPELINING", "SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")
GREETINGS = ("EHLO", "LHLO", "HELO")
ANSWERS = {
    "CONNECT": "220 relay.example.org ESMTP", "STARTTLS": "220 2.0.0 Go ahead",
    "MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 End with a dot",
    "DOT": "250 2.0.0 Ok: queued", "RSET": "250 2.0.0 Ok", "NOOP": "250 2.0.0 Ok",
    "QUIT": "221 2.0.0 Bye",
}  # fmt: skip


@dataclass(frozen=True)
class Manners:
    """What a server offers."""

    tls: Literal["none", "starttls", "implicit"]
    context: ssl.SSLContext | None
    extensions: tuple[str, ...]
    users: dict[str, str]
    mechanisms: str


class Conversation:
    """Answers as scripted, and well where nothing is."""

    def __init__(self, desk: Desk, manners: Manners, sock: socket.socket) -> None:
        self.desk, self.manners, self.sock = desk, manners, sock
        self.stopping = desk.stopping
        self.code = ""
        self._buffer = b""
        self._is_secure = False
        self._return_path: str | None = None
        self._recipients: list[str] = []

    def run(self) -> None:
        with suppress(Over, OSError):
            if self.manners.tls == "implicit":
                self._secure()
            self._answer("CONNECT")
            while self.code != "221":
                self._obey(self._read_line())
        self.sock.close()

    def say(self, text: str) -> None:
        lines = [line[:3] + "-" + line[4:] for line in text.split("\n")]
        lines[-1] = lines[-1][:3] + " " + lines[-1][4:]
        self.write("".join(f"{line}\r\n" for line in lines).encode())
        self.code = text[:3]

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _obey(self, command: str) -> None:
        self.desk.commands.append(command)
        verb = command.partition(" ")[0].upper()
        path = found[1] if (found := re.search(r"<(.*?)>", command)) else ""
        self.desk.tell(verb, command)
        if verb in GREETINGS:
            self._forget()
            self._answer(verb, usual=self._greeting())
        elif verb == "AUTH":
            self._answer(
                verb, usual="235 2.7.0 Welcome" if self._knows(command) else "535 5.7.8 No"
            )
        elif verb == "RCPT":
            self._answer(f"RCPT {path}", "RCPT")
            self._recipients += [path] if self.code[:1] == "2" else []
        elif verb == "DATA" and not self._recipients:
            self.say("503 5.5.1 No recipients")
        elif verb in ANSWERS:
            self._answer(verb)
            self._follow(verb, path)
        else:
            self.say("500 5.5.2 What?")
        self.desk.tell(f"after {verb}", command)

    def _follow(self, verb: str, path: str) -> None:
        """Do what the answer promised."""
        if verb == "STARTTLS" and self.code == "220":
            self._buffer = b""
            self._secure()
        elif verb == "MAIL":
            self._return_path = path if self.code[:1] == "2" else None
        elif verb == "RSET":
            self._forget()
        elif verb == "DATA" and self.code == "354":
            self._take(self._read_message())

    def _answer(self, *verbs: str, usual: str = "") -> None:
        usual = usual or ANSWERS[verbs[-1]]
        self.code = usual[:3]
        action = self.desk.action(*verbs)
        (action or Say(usual))(self)

    def _take(self, data: bytes) -> None:
        """Accept unless the answer refuses: an answer that is lost was a good one."""
        self.desk.tell("DOT", ".")
        action = self.desk.action("DOT")
        if not (isinstance(action, Say) and action.is_refusal):
            self.desk.accepted += [
                Accepted(self._return_path or "", recipient, data, time.time())
                for recipient in self._recipients
            ]
        self._forget()
        if action is None:
            self.stopping.wait(self.desk.delay)
        (action or Say(ANSWERS["DOT"]))(self)
        self.desk.tell("after DOT", ".")

    def _read_message(self) -> bytes:
        """Read up to CRLF.CRLF and nothing like it; undo the stuffing of dots."""
        self._buffer = b"\r\n" + self._buffer
        while b"\r\n.\r\n" not in self._buffer:
            self._receive()
            if action := self.desk.action("BODY"):
                action(self)
        body, _, self._buffer = self._buffer.partition(b"\r\n.\r\n")
        if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", body):
            self.desk.faults.append("a bare CR, LF or NUL in a message")
        return body.replace(b"\r\n.", b"\r\n")[2:] + b"\r\n"

    def _read_line(self) -> str:
        while b"\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            self.desk.faults.append("a command that ends with a bare LF")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise Over
        self._buffer += data

    def _secure(self) -> None:
        if self.manners.context is None:
            raise Over
        self.sock = self.manners.context.wrap_socket(self.sock, server_side=True)
        self._is_secure = True

    def _greeting(self) -> str:
        offers = list(self.manners.extensions)
        if self.manners.tls == "starttls" and not self._is_secure:
            offers.append("STARTTLS")
        if self.manners.users:
            offers.append(f"AUTH {self.manners.mechanisms}")
        return "\n".join(f"250 {line}" for line in ("relay.example.org", *offers))

    def _knows(self, command: str) -> bool:
        _, mechanism, *first = command.split(" ")
        if mechanism.upper() == "PLAIN":
            _, user, password = b64decode(first[0]).decode().split("\0")
        else:
            user = b64decode(first[0]).decode() if first else self._ask("334 VXNlcm5hbWU6")
            password = self._ask("334 UGFzc3dvcmQ6")
        return self.manners.users.get(user) == password

    def _ask(self, challenge: str) -> str:
        self.say(challenge)
        return b64decode(self._read_line()).decode()

    def _forget(self) -> None:
        self._return_path, self._recipients = None, []
