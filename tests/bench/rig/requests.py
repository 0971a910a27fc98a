"""Sign-up forms, as fast as a few visitors send them, while issues go out."""

import http.client
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlencode

from belong_mail.ops.launcher import WORKER_ALONE
from tests.bench.rig import child
from tests.bench.rig.product import GROUP
from tests.browser_client import Form
from tests.processes import flask, wait_until_served
from tests.servers.ports import free_port

VISITORS = 2
JOIN = f"/groups/{GROUP}/join"
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


def waits_while_sending(house, posts: int) -> list[float]:
    """Return how many seconds each form took while a worker of this house was sending."""
    port = free_port()
    blind = house.env() | dict.fromkeys(WORKER_ALONE, "")
    with (
        child.running(flask("web", "--port", str(port)), blind),
        child.running(flask("worker", "--drain"), house.env(), core=child.SENDER) as worker,
    ):
        wait_until_served(port)
        house.wait_until_sending()
        with ThreadPoolExecutor(VISITORS) as pool:
            waits = [*pool.map(_send, [port] * VISITORS, [posts // VISITORS] * VISITORS)]
        if worker.poll() is not None:
            raise child.Failed("The worker was done before the visitors were; more members!")
    return [wait for each in waits for wait in each]


def _send(port: int, number: int) -> list[float]:
    """Keep one connection open, and send the form again and again as somebody new."""
    waits = []
    with closing(http.client.HTTPConnection("localhost", port, timeout=60)) as connection:
        connection.request("GET", JOIN)
        fields = Form(connection.getresponse().read().decode()).fields
        for _ in range(number):
            typed = urlencode(fields | {"email": f"{secrets.token_hex(8)}@dpsk12.org"})
            began = time.perf_counter()
            connection.request("POST", JOIN, typed, HEADERS)
            answer = connection.getresponse()
            answer.read()
            waits.append(time.perf_counter() - began)
            if answer.status != http.client.SEE_OTHER:
                raise child.Failed(f"{JOIN} was answered with {answer.status}.")
    return waits
