"""Pages and forms, as fast as a few visitors ask for them, and what web and database used."""

import http.client
import re
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.rig import child, server
from tests.bench.rig.product import GROUP, House
from tests.processes import flask, wait_until_served
from tests.servers.ports import free_port

VISITORS, VISITORS_WHILE_SENDING = 8, 2
JOIN = f"/groups/{GROUP}/join"
WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")
# Method, path and body.
Request = tuple[str, str, str | None]
Make = Callable[[http.client.HTTPConnection, dict[str, str]], Request]


@dataclass(frozen=True, slots=True)
class Served:
    """The use of so many requests: seconds of CPU of the web and of the database, and the waits."""

    seconds: float
    web: float
    database: float
    waits: list[float]

    def measures(self, name: str) -> dict[str, float]:
        number, ranked = len(self.waits), sorted(self.waits)
        return {
            f"{name}.web_ms": self.web / number * 1e3,
            f"{name}.database_ms": self.database / number * 1e3,
            f"{name}.rate": number / self.seconds,
            f"{name}.p50_ms": statistics.median(ranked) * 1e3,
            f"{name}.p99_ms": ranked[int(number * 0.99)] * 1e3,
        }


@dataclass
class Asker:
    """Keeps one connection open, and asks again and again."""

    port: int
    number: int
    status: int
    make: Make
    waits: list[float] = field(default_factory=list)
    trouble: str = ""

    def ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": f"localhost:{self.port}"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            for _ in range(self.number):
                method, path, body = self.make(connection, headers)
                began = time.perf_counter()
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
                self.waits.append(time.perf_counter() - began)
                if answer.status != self.status:
                    self.trouble = f"{path} was answered with {answer.status}."
        except (OSError, http.client.HTTPException, child.Failed) as error:
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            connection.close()


def pages_and_forms(house: House, number: int) -> tuple[Served, Served]:
    """Ask a web for so many pages of a group, then send so many sign-ups; no worker runs."""
    with _web(house) as (web, port):
        _serve(house, web, port, VISITORS * 10, http.client.OK, _page)
        pages = _serve(house, web, port, number, http.client.OK, _page)
        forms = _serve(house, web, port, number, http.client.SEE_OTHER, _form())
    return pages, forms


def waits_while_sending(house: House, posts: int) -> list[float]:
    """Return how many seconds each form took while a worker of this house was sending."""
    with (
        _web(house) as (_, port),
        child.running(flask("worker", "--drain"), house.env(), core=child.SENDER) as worker,
    ):
        house.wait_until_sending()
        waits = _ask(port, posts, http.client.SEE_OTHER, _form(), VISITORS_WHILE_SENDING)
        if worker.poll() is not None:
            raise child.Failed("The worker was done before the visitors were; more members!")
    return waits


@contextmanager
def _web(house: House) -> Iterator[tuple[int, int]]:
    """Run a web that has the keys of the web; yield its process and its port."""
    port = free_port()
    blind = house.env() | dict.fromkeys(WORKER_ALONE, "")
    with child.running(flask("web", "--port", str(port)), blind) as web:
        wait_until_served(port)
        yield web.pid, port


def _page(_: http.client.HTTPConnection, __: dict[str, str]) -> Request:
    return "GET", f"/groups/{GROUP}", None


def _form() -> Make:
    """Make forms as somebody new each time, from one page for each connection."""
    signed: dict[int, str] = {}

    def make(connection: http.client.HTTPConnection, headers: dict[str, str]) -> Request:
        token = signed.get(id(connection)) or _signed_form(connection, headers)
        signed[id(connection)] = token
        typed = {"csrf_token": token, "language": "en"}
        typed["email"] = f"{secrets.token_hex(8)}@dpsk12.org"
        return "POST", JOIN, urlencode(typed)

    return make


def _signed_form(connection: http.client.HTTPConnection, headers: dict[str, str]) -> str:
    """Return what the sign-up form carries beside what is typed."""
    connection.request("GET", JOIN, headers=headers)
    page = connection.getresponse().read().decode()
    signed = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if signed is None:
        raise child.Failed("The form has no signed time.")
    return signed[1]


def _serve(house: House, web: int, port: int, number: int, status: int, make: Make) -> Served:
    before = server.cpu_of_tree(web), server.cpu(house.database_url)
    began = time.perf_counter()
    waits = _ask(port, number, status, make, VISITORS)
    seconds = time.perf_counter() - began
    after = server.cpu_of_tree(web), server.cpu(house.database_url)
    return Served(seconds, after[0] - before[0], after[1] - before[1], waits)


def _ask(port: int, number: int, status: int, make: Make, visitors: int) -> list[float]:
    """Let visitors ask so often in all; return how many seconds each answer took."""
    askers = [Asker(port, number // visitors, status, make) for _ in range(visitors)]
    threads = [threading.Thread(target=each.ask) for each in askers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if trouble := next((each.trouble for each in askers if each.trouble), ""):
        raise child.Failed(trouble)
    return [wait for each in askers for wait in each.waits]
