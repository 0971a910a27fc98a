"""Pages and forms, as fast as a few visitors ask for them, and what web and database used."""

import http.client
import secrets
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.rig import child, server
from tests.bench.rig.product import GROUP, House
from tests.bench.rig.visitors import JOIN, WORKER_ALONE, signed_form, wait_until_served
from tests.processes import flask
from tests.servers.ports import free_port

VISITORS = 8
# Method, path and body.
Request = tuple[str, str, str | None]
Make = Callable[[http.client.HTTPConnection, dict[str, str]], Request]


@dataclass(frozen=True, slots=True)
class Served:
    """The use of so many requests: seconds of CPU of the web and of the database, and the waits."""

    number: int
    seconds: float
    web: float
    database: float
    waits: list[float]

    def measures(self, name: str) -> dict[str, float]:
        ranked = sorted(self.waits)
        return {
            f"{name}.web_ms": self.web / self.number * 1e3,
            f"{name}.database_ms": self.database / self.number * 1e3,
            f"{name}.rate": self.number / self.seconds,
            f"{name}.p50_ms": statistics.median(ranked) * 1e3,
            f"{name}.p99_ms": ranked[int(len(ranked) * 0.99)] * 1e3,
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
    port = free_port()
    blind = house.env() | dict.fromkeys(WORKER_ALONE, "")
    # A web at rest in a large school: all visitors of the bench stand behind one address.
    blind["BELONG_TRUSTED_NETWORKS"] = "127.0.0.0/8"
    with child.running(flask("web", "--port", str(port)), blind) as web:
        wait_until_served(port)
        _serve(house, web.pid, port, VISITORS * 10, http.client.OK, _page)
        pages = _serve(house, web.pid, port, number, http.client.OK, _page)
        forms = _serve(house, web.pid, port, number, http.client.SEE_OTHER, _form())
    return pages, forms


def _page(_: http.client.HTTPConnection, __: dict[str, str]) -> Request:
    return "GET", f"/groups/{GROUP}", None


def _form() -> Make:
    """Make forms as somebody new each time, from one page for each connection."""
    signed: dict[int, str] = {}

    def make(connection: http.client.HTTPConnection, headers: dict[str, str]) -> Request:
        token = signed.get(id(connection)) or signed_form(connection, headers)
        signed[id(connection)] = token
        typed = {"csrf_token": token, "language": "en"}
        typed["email"] = f"{secrets.token_hex(8)}@dpsk12.org"
        return "POST", JOIN, urlencode(typed)

    return make


def _serve(house: House, web: int, port: int, number: int, status: int, make: Make) -> Served:
    askers = [Asker(port, number // VISITORS, status, make) for _ in range(VISITORS)]
    threads = [threading.Thread(target=each.ask) for each in askers]
    before = server.cpu_of_tree(web), server.cpu(house.database_url)
    began = time.perf_counter()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds = time.perf_counter() - began
    after = server.cpu_of_tree(web), server.cpu(house.database_url)
    if trouble := next((each.trouble for each in askers if each.trouble), ""):
        raise child.Failed(trouble)
    waits = [wait for each in askers for wait in each.waits]
    return Served(len(waits), seconds, after[0] - before[0], after[1] - before[1], waits)
