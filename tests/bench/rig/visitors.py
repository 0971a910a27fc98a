"""People who fill in the form while an issue goes out, and how long they wait."""

import http.client
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.rig import child
from tests.bench.rig.product import GROUP, House
from tests.processes import flask
from tests.servers.ports import free_port

VISITORS = 2
STARTING = 60.0
JOIN = f"/groups/{GROUP}/join"
WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")


@dataclass
class Visitor:
    """Keeps one connection open and posts the form again and again."""

    port: int
    posts: int
    waits: list[float] = field(default_factory=list)
    trouble: str = ""

    def visit(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            self._post(connection)
        except (OSError, http.client.HTTPException, child.Failed) as error:
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection) -> None:
        place, headers = JOIN, {"Host": f"localhost:{self.port}"}
        token = signed_form(connection, headers)
        headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        for _ in range(self.posts):
            typed = {"csrf_token": token, "language": "en"}
            typed["email"] = f"{secrets.token_hex(8)}@dpsk12.org"
            began = time.perf_counter()
            connection.request("POST", place, urlencode(typed), headers)
            answer = connection.getresponse()
            answer.read()
            self.waits.append(time.perf_counter() - began)
            if answer.status != http.client.SEE_OTHER:
                raise child.Failed(f"The form was answered with {answer.status}.")


def waits(house: House, posts: int) -> list[float]:
    """Return how many seconds each post took while a worker of this house was sending."""
    port = free_port()
    env = house.env()
    blind = env | dict.fromkeys(WORKER_ALONE, "")
    with child.running(flask("web", "--port", str(port)), blind):
        wait_until_served(port)
        with child.running(flask("worker", "--drain"), env, core=child.SENDER) as worker:
            house.wait_until_sending()
            people = [Visitor(port, posts // VISITORS) for _ in range(VISITORS)]
            threads = [threading.Thread(target=each.visit) for each in people]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if worker.poll() is not None:
                raise child.Failed("The worker was done before the visitors were; more members!")
    if trouble := next((each.trouble for each in people if each.trouble), ""):
        raise child.Failed(trouble)
    return [wait for each in people for wait in each.waits]


def signed_form(connection: http.client.HTTPConnection, headers: dict[str, str]) -> str:
    """Return what the sign-up form carries beside what is typed."""
    connection.request("GET", JOIN, headers=headers)
    page = connection.getresponse().read().decode()
    signed = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if signed is None:
        raise child.Failed("The form has no signed time.")
    return signed[1]


def wait_until_served(port: int) -> None:
    """Wait until a web answers that it is ready."""
    until = time.monotonic() + STARTING
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz", headers={"Host": f"localhost:{port}"})
            if connection.getresponse().status == http.client.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        if time.monotonic() > until:
            raise child.Failed("The web server does not answer.")
        time.sleep(0.05)
