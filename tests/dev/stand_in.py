"""Stands in for `python -m flask`, so that dev.py is tried in seconds and without the app.

It writes down what it was given.
"""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType

VAR = Path("var")
OWN: list[subprocess.Popen[bytes]] = []


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Stay quiet."""


def note(name: str, **more: object) -> None:
    settings = {key: value for key, value in os.environ.items() if key.startswith("BELONG_")}
    facts = {"pid": os.getpid(), "settings": settings, **more}
    half_written = VAR / f"{name}.part"
    half_written.write_text(json.dumps(facts))
    half_written.rename(VAR / f"{name}.json")


def finish(_number: int, _frame: FrameType | None) -> None:
    """End as a server does that has processes of its own."""
    for process in OWN:
        process.terminate()
    note(f"{sys.argv[3]}-finished")
    sys.exit(0)


def prepare() -> None:
    note("prepare")
    if "NOTHING_TO_PREPARE" in os.environ:
        sys.exit("There is no such database.")
    sys.stdout.write("Sign in as the sample lead.\n")


def web() -> None:
    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    OWN.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"]))
    note("web", own=OWN[0].pid, port=int(sys.argv[5]))
    HTTPServer(("127.0.0.1", int(sys.argv[5])), Answer).serve_forever()


def worker() -> None:
    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    note("worker")
    time.sleep(99)


if __name__ == "__main__":
    signal.alarm(100)  # whatever becomes of the test
    {"prepare": prepare, "web": web, "worker": worker}[sys.argv[3]]()
