"""Sign-up forms, as fast as a few visitors send them, while issues go out."""

import http.client
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.rig import child
from tests.bench.rig.product import GROUP, House
from tests.processes import flask, wait_until_served
from tests.servers.ports import free_port

VISITORS = 2
JOIN = f"/groups/{GROUP}/join"
WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")


@dataclass
class Visitor:
    """Keeps one connection open, and sends the form again and again as somebody new."""

    port: int
    number: int
    waits: list[float] = field(default_factory=list)
    trouble: str = ""

    def send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": f"localhost:{self.port}"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            token = _token(connection, headers)
            for _ in range(self.number):
                typed = {"csrf_token": token, "language": "en"}
                typed["email"] = f"{secrets.token_hex(8)}@dpsk12.org"
                began = time.perf_counter()
                connection.request("POST", JOIN, urlencode(typed), headers)
                answer = connection.getresponse()
                answer.read()
                self.waits.append(time.perf_counter() - began)
                if answer.status != http.client.SEE_OTHER:
                    self.trouble = f"{JOIN} was answered with {answer.status}."
        except (OSError, http.client.HTTPException, child.Failed) as error:
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            connection.close()


def waits_while_sending(house: House, posts: int) -> list[float]:
    """Return how many seconds each form took while a worker of this house was sending."""
    port = free_port()
    blind = house.env() | dict.fromkeys(WORKER_ALONE, "")
    with (
        child.running(flask("web", "--port", str(port)), blind),
        child.running(flask("worker", "--drain"), house.env(), core=child.SENDER) as worker,
    ):
        wait_until_served(port)
        house.wait_until_sending()
        waits = _send(port, posts)
        if worker.poll() is not None:
            raise child.Failed("The worker was done before the visitors were; more members!")
    return waits


def _token(connection: http.client.HTTPConnection, headers: dict[str, str]) -> str:
    """Return what the form carries beside what is typed."""
    connection.request("GET", JOIN, headers=headers)
    page = connection.getresponse().read().decode()
    signed = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    if signed is None:
        raise child.Failed("The form has no signed time.")
    return signed[1]


def _send(port: int, posts: int) -> list[float]:
    """Let visitors send so many forms in all; return how many seconds each answer took."""
    visitors = [Visitor(port, posts // VISITORS) for _ in range(VISITORS)]
    threads = [threading.Thread(target=each.send) for each in visitors]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if trouble := next((each.trouble for each in visitors if each.trouble), ""):
        raise child.Failed(trouble)
    return [wait for each in visitors for wait in each.waits]
