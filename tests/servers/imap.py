"""An IMAP server in a few lines that does as it is told: well, late, half, twice, or not at all."""

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from tests.servers.listening import Listener

USER, PASSWORD = "bounces", "secret"
FOLDERS = ("INBOX", "Belong read")
CAPABILITIES = "IMAP4rev1 UIDPLUS MOVE"
MUCH = 65536


class HungUp(Exception):
    """The conversation is over."""


# Gets the conversation and the tag, and answers instead of us; True: go on as usual.
Action = Callable[["Conversation", str], bool]


def drop(_: "Conversation", _tag: str) -> bool:
    raise HungUp


def hang(conversation, _tag: str) -> bool:
    """Say nothing until the test is over, or the client has gone."""
    conversation.server.stopping.wait(60)
    raise HungUp


def say(*lines: str | bytes) -> Action:
    """Answer with these lines, in which %s is the tag, and do nothing."""

    def act(conversation, tag: str) -> bool:
        for line in lines:
            raw = line if isinstance(line, bytes) else line.replace("%s", tag).encode() + b"\r\n"
            conversation.write(raw)
        return False

    return act


class ImapServer(Listener):
    """One mailbox of a few folders, from UID to message; a UID may have several."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[int, bytes]] = []
        self.read: list[bytes] = []
        self.capabilities = CAPABILITIES
        # By the command, with its number if it is not every time: "FETCH 2".
        self.script: dict[str, Action] = {}
        # The same, for after the command has been carried out.
        self.afterwards: dict[str, Action] = {}
        self.commands: list[str] = []
        self.sent = 0
        self.times: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"imap://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def put(self, *messages: bytes) -> None:
        for message in messages:
            self.messages.append((max([0, *(uid for uid, _ in self.messages)]) + 1, message))

    def converse(self, sock: socket.socket) -> None:
        Conversation(self, sock).run()


class Conversation:
    def __init__(self, server: ImapServer, sock: socket.socket) -> None:
        self.server, self._sock, self._buffer = server, sock, b""
        self._folder = FOLDERS[0]

    def run(self) -> None:
        with suppress(HungUp, OSError):
            self._obey("", "CONNECT", lambda: "* OK Hello")
            while True:
                self._command()
        self._sock.close()

    def write(self, data: bytes) -> None:
        self._sock.sendall(data)
        self.server.sent += len(data)

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            data = self._sock.recv(MUCH)
            if not data:
                raise HungUp
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    def _command(self) -> None:
        tag, verb, *rest = self._line().split(" ", 2)
        given = rest[0] if rest else ""
        if verb == "UID":
            verb, _, given = given.partition(" ")
        self.server.commands.append(f"{verb} {given}")
        doing = getattr(self, f"_do_{verb.lower()}")
        self._obey(tag, verb, lambda: f"{tag} {doing(given)}")
        if verb == "LOGOUT":
            raise HungUp

    def _obey(self, tag: str, verb: str, do: Callable[[], str]) -> None:
        """Do what a command asks, unless the script says otherwise."""
        self.server.times[verb] += 1
        names = (f"{verb} {self.server.times[verb]}", verb)
        script, later = self.server.script, self.server.afterwards
        before = next((script[name] for name in names if name in script), None)
        if before is not None and not before(self, tag):
            return
        with self.server.lock:
            answer = do()
        after = next((later[name] for name in names if name in later), None)
        if after is None or after(self, tag):
            self.write(f"{answer}\r\n".encode())

    def _say(self, text: str) -> None:
        self.write(f"{text}\r\n".encode())

    def _do_capability(self, _: str) -> str:
        self._say(f"* CAPABILITY {self.server.capabilities}")
        return "OK Done"

    def _do_login(self, given: str) -> str:
        return "OK Welcome" if given == f'"{USER}" "{PASSWORD}"' else "NO [AUTHENTICATIONFAILED] No"

    def _do_select(self, given: str) -> str:
        self._folder = given.strip('"')
        if self._folder not in FOLDERS:
            return "NO No such folder"
        number = len(self.server.messages) if self._folder == FOLDERS[0] else 0
        self._say("* FLAGS (\\Deleted)")
        self._say(f"* {number} EXISTS")
        return "OK [READ-WRITE] Done"

    _do_examine = _do_select

    def _do_create(self, _: str) -> str:
        return "NO [ALREADYEXISTS] There is one"

    def _do_search(self, given: str) -> str:
        found: list[int] = []
        if asked := re.fullmatch(r"(\d+):(\d+)", given):
            low, high = map(int, asked.groups())
            assert high <= len(self.server.messages)
            found = [uid for uid, _ in self.server.messages[low - 1 : high]]
        self._say(f"* SEARCH {' '.join(map(str, found))}".rstrip())
        return "OK Done"

    def _do_fetch(self, given: str) -> str:
        asked = re.fullmatch(r"(\d+) \(UID BODY.PEEK\[\]<0.(\d+)>\)", given)
        assert asked is not None, given
        uid, most = map(int, asked.groups())
        for sequence, (number, message) in enumerate(self.server.messages, 1):
            if number == uid:
                part = message[:most]
                head = f"* {sequence} FETCH (UID {uid} BODY[]<0> {{{len(part)}}}\r\n"
                self.write(head.encode() + part + b")\r\n")
        return "OK Done"

    def _do_move(self, given: str) -> str:
        uids = self._uids(given)
        self.server.read += [message for uid, message in self.server.messages if uid in uids]
        return self._do_expunge(given)

    def _do_store(self, _: str) -> str:
        return "OK Done"

    def _do_expunge(self, given: str) -> str:
        uids = self._uids(given)
        self.server.messages = [each for each in self.server.messages if each[0] not in uids]
        return "OK Done"

    def _do_logout(self, _: str) -> str:
        self._say("* BYE Bye")
        return "OK Done"

    def _uids(self, given: str) -> set[int]:
        return {int(each) for each in given.partition(" ")[0].split(",")}
