"""The product as it runs: a web server's processes and a worker's, and a browser to visit them."""

import http.client
import os
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from tests.browser_client import read
from tests.processes import ROOT, flask, is_ready_to_end, surroundings
from tests.waiting import ENDS_WITH_US, wait_until

SECONDS_TO_END = 60


@dataclass(frozen=True)
class Answer:
    status_code: int
    headers: http.client.HTTPMessage
    data: bytes

    @property
    def text(self) -> str:
        return read(self.data.decode())

    @property
    def location(self) -> str:
        return self.headers["Location"] or ""


@dataclass
class Browser:
    """Visits a port, by TLS if it has a context; follows no redirect, remembers where it went."""

    port: int
    context: ssl.SSLContext | None = None
    keeps_cookies: bool = False
    visited: list[str] = field(default_factory=list)
    pages: list[bytes] = field(default_factory=list)
    # Cookies that it was given, each as often as it was.
    given: list[str] = field(default_factory=list)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.open(url, "GET", headers=headers)

    def post(
        self,
        url: str,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self.open(url, "POST", urlencode(data or {}, doseq=True), headers)

    def open(
        self,
        url: str,
        method: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = self._connect()
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        given = {"Host": f"localhost:{self.port}", **form, **self._cookies(), **(headers or {})}
        try:
            connection.request(method, url, body, given)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        self.visited += [url, answer.location, str(answer.headers["Refresh"] or "")]
        self.pages.append(answer.data)
        set_cookies = answer.headers.get_all("Set-Cookie", [])
        self.given += [each.partition(";")[0] for each in set_cookies]
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.context)

    def _cookies(self) -> dict[str, str]:
        kept = dict(each.split("=", 1) for each in self.given) if self.keeps_cookies else {}
        said = "; ".join(f"{name}={value}" for name, value in kept.items())
        return {"Cookie": said} if said else {}


class Site:
    """Both processes, and what they said."""

    def __init__(self, environment, folder: Path, port: int, for_web: Mapping[str, str]) -> None:
        self.browser = Browser(port)
        self._environment, self._logs = environment, folder
        self.web = self._start("web", "--port", str(port), **for_web)
        self.worker = self._start("worker")

    def restart_worker(self, **settings: str) -> None:
        self.let_worker_begin()
        self.worker.terminate()
        assert self.worker.wait(SECONDS_TO_END) == 0, self.words().decode()
        self.worker = self._start("worker", **settings)

    def end(self) -> None:
        self.let_worker_begin()
        processes = (self.web, self.worker)
        for process in processes:
            process.terminate()
        try:
            codes = [process.wait(SECONDS_TO_END) for process in processes]
        finally:
            self.kill()
        assert codes[1] == 0, self.words().decode()

    def kill(self) -> None:
        """End both at once, whatever they do, and what they started."""
        for process in (self.web, self.worker):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def let_worker_begin(self) -> None:
        wait_until(lambda: self.worker.poll() is not None or is_ready_to_end(self.worker.pid))

    def _start(self, name: str, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        env = surroundings({**self._environment, **settings})
        with (self._logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*ENDS_WITH_US, *flask(name, *arguments)],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def words(self) -> bytes:
        """Return everything that the processes wrote, on both of their outputs."""
        return b"\n".join(file.read_bytes() for file in sorted(self._logs.glob("*.log")))

    def web_processes(self) -> list[int]:
        """List the web server's process and its children, by id."""
        found, waiting = [], [self.web.pid]
        while waiting:
            found.append(waiting.pop())
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        return found


@contextmanager
def running(
    environment, folder: Path, port: int, for_web: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Run web and worker with these settings until the block ends; some may be the web's own."""
    site = Site(environment, folder, port, for_web or {})
    try:
        is_ready = partial(Browser(port).get, "/readyz")
        wait_until(lambda: is_ready().status_code == 200, lambda: site.words().decode())
    except BaseException:
        site.kill()
        raise
    try:
        yield site
    finally:
        site.end()
