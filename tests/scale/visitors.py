"""People who join while an issue is sent, through whichever web answers; and who watches both."""

import http.client
import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from tests.browser_client import Form, link_to
from tests.scale.fleet import BASE_URL, GROUP, STAFF, WEB_PORT, Fleet, Machine

JOIN = f"/groups/{GROUP}/join"
# Seconds between two looks at a web, and between two presses of one visitor.
LOOK_EVERY, PRESS_EVERY = 0.5, 1.0
# Seconds that a proxy waits for a web: longer than the ten in which a page must answer.
PATIENCE = 15.0
SILENT = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A web's answer, and when it was asked; status 0: nothing came."""

    web: str
    at: float
    seconds: float
    status: int
    body: str
    headers: http.client.HTTPMessage | None = None


def ask(web: Machine, path: str, fields: dict[str, object] | None = None) -> Answer:
    """Ask a web as the proxy in front of it does, for somebody anywhere."""
    source = ".".join(str(1 + secrets.randbelow(250)) for _ in range(4))
    headers = {
        "Host": urlsplit(BASE_URL).netloc,
        "X-Forwarded-For": source,
        "X-Forwarded-Proto": "https",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = None if fields is None else urlencode(fields, doseq=True)
    at, name = time.time(), web.host.name
    connection = http.client.HTTPConnection(web.host.address, WEB_PORT, timeout=PATIENCE)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        said = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return Answer(name, at, time.time() - at, SILENT, "")
    finally:
        connection.close()
    return Answer(name, at, time.time() - at, answer.status, said, answer.headers)


@dataclass
class Crowd:
    """Visitors: all that a web has promised them, and all that they saw."""

    fleet: Fleet
    # People who were told to look into the inbox.
    promised: list[str] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)
    seen: list[Answer] = field(default_factory=list)
    looks: list[Answer] = field(default_factory=list)
    # Presses that no web answered well, so that the visitor pressed again.
    again: int = 0

    def confirm_all(self, seconds: float) -> None:
        """Let everybody who was promised an email follow its link."""
        left = set(self.promised) - self.confirmed
        until = time.monotonic() + seconds
        while left and time.monotonic() < until:
            self.confirmed |= {each for each in left if self._confirm(each)}
            left -= self.confirmed
            time.sleep(0.2)

    def join(self, turns: "itertools.count[int]", over: threading.Event) -> None:
        """Join again and again as somebody new; now and then confirm who has the email."""
        while not over.is_set():
            address = f"{secrets.token_hex(8)}{STAFF}"
            while not self._sign_up(address, next(turns)):
                self.again += 1
                time.sleep(PRESS_EVERY)
            self.promised.append(address)
            earlier = self.promised[len(self.promised) // 2]
            if earlier not in self.confirmed and self._confirm(earlier):
                self.confirmed.add(earlier)
            over.wait(PRESS_EVERY)

    def watch(self, web: Machine, over: threading.Event) -> None:
        """Ask a web whether it is ready, as its proxy does."""
        while not over.is_set():
            self.looks.append(ask(web, "/readyz"))
            over.wait(LOOK_EVERY)

    def _sign_up(self, address: str, turn: int) -> bool:
        page = self._open(turn, JOIN)
        if page.status != http.client.OK:
            return False
        form = Form(page.body)
        fields = {**form.fields, "email": address}
        return self._open(turn, form.action or JOIN, fields).status == http.client.SEE_OTHER

    def _confirm(self, address: str) -> bool:
        """Follow the link of the email, if it has come; the button's answer counts."""
        mails = self.fleet.relay.to(address)
        if not mails:
            return False
        link = urlsplit(link_to(mails[0], "confirm")).path
        page = self._open(0, link)
        if page.status != http.client.OK:
            return page.status == http.client.SEE_OTHER
        form = Form(page.body)
        return self._open(1, form.action or link, form.fields).status == http.client.SEE_OTHER

    def _open(self, turn: int, path: str, fields: dict[str, object] | None = None) -> Answer:
        """Ask a web; where it says nothing, the proxy asks the other one."""
        webs = self.fleet.webs
        for web in (webs[turn % 2], webs[(turn + 1) % 2]):
            answer = ask(web, path, fields)
            self.seen.append(answer)
            if answer.status != SILENT:
                break
        return answer


@contextmanager
def visitors(fleet: Fleet) -> Iterator[Crowd]:
    """Let people come until the block ends; then everybody finishes what they began."""
    crowd, over, turns = Crowd(fleet), threading.Event(), itertools.count()
    threads = [threading.Thread(target=crowd.join, args=(turns, over)) for _ in range(2)]
    threads += [threading.Thread(target=crowd.watch, args=(web, over)) for web in fleet.webs]
    for each in threads:
        each.start()
    try:
        yield crowd
    finally:
        over.set()
        for each in threads:
            each.join()
