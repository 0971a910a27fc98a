"""GNU Mailman 3 as a peer: one post to a list, one personal copy for each member."""

import os
import re
import shutil
import smtplib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rig import child, tools
from tests.bench.rig.product import Sent
from tests.servers.ports import free_port
from tests.waiting import listens, wait_until

LIST, POSTER = "spring@lists.example.org", "member-0@example.org"
# Seconds for a post to reach all.
SENDING = 1800.0
# Mailman's `Personalization.individual`.
PERSONAL = 1
OURS = re.compile(r"^(List-|Precedence|X-Auto|Message-ID|To:|From:|Reply-To)", re.IGNORECASE)
SETTINGS = """\
[mailman]
layout: bench
site_owner: owner@example.org
[paths.bench]
var_dir: {folder}
[mta]
incoming: mailman.mta.null.NullMTA
outgoing: mailman.mta.deliver.deliver
lmtp_host: 127.0.0.1
lmtp_port: {lmtp}
smtp_host: 127.0.0.1
smtp_port: {smtp}
max_sessions_per_connection: 0
verp_personalized_deliveries: yes
[webservice]
hostname: 127.0.0.1
port: {rest}
[archiver.prototype]
enable: no
"""


@dataclass
class Mailman:
    """A site of its own in a folder, with one list of so many members."""

    folder: Path
    members: int

    def build(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._settle(smtp=free_port())
        self._command("create", "--quiet", LIST)
        people = self.folder / "members.txt"
        people.write_text("".join(f"member-{each}@example.org\n" for each in range(self.members)))
        self._command("addmembers", "--no-welcome-msg", str(people), LIST)
        with sqlite3.connect(self.folder / "data" / "mailman.db") as connection:
            connection.execute("UPDATE mailinglist SET personalize = ?", (PERSONAL,))

    def post(self, smtp_port: int, letter) -> Sent:
        """Post once; count the CPU of the one process of Mailman that sends (it has a dozen)."""
        with self._running(smtp_port) as lmtp:
            sender = self._runner("out")
            log = self.folder / "logs" / "smtp.log"
            said = log.stat().st_size if log.exists() else 0
            cpu, began = child.cpu_of(sender), time.perf_counter()
            with smtplib.LMTP("127.0.0.1", lmtp) as door:
                door.sendmail(POSTER, [LIST], _post(letter))
            done = f"smtp to {LIST} for {self.members} recips"
            wait_until(lambda: done in _rest(log, said), seconds=SENDING)
            seconds = time.perf_counter() - began
            used = child.cpu_of(sender) - cpu
            return Sent(self.members, used, seconds, child.peak_of(sender))

    @contextmanager
    def _running(self, smtp_port: int) -> Iterator[int]:
        lmtp = self._settle(smtp_port)
        self._command("start")
        try:
            wait_until(lambda: listens(lmtp))
            yield lmtp
        finally:
            self._command("stop")
            wait_until(lambda: not any(self._processes()))

    def _settle(self, smtp: int) -> int:
        lmtp = free_port()
        text = SETTINGS.format(folder=self.folder, smtp=smtp, lmtp=lmtp, rest=free_port())
        (self.folder / "mailman.cfg").write_text(text)
        return lmtp

    def _command(self, *arguments: str) -> None:
        program = tools.mailman()
        if program is None:
            raise tools.NotHere("GNU Mailman is not installed here.")
        as_root = ["--run-as-root"] if os.geteuid() == 0 else []
        command = [str(program), *as_root, "-C", str(self.folder / "mailman.cfg"), *arguments]
        child.run(command, dict(os.environ))

    def _runner(self, name: str) -> int:
        for process_id, words in self._processes():
            if f"--runner={name}:" in words:
                return process_id
        raise child.Failed(f"Mailman runs no «{name}».")

    def _processes(self) -> Iterator[tuple[int, str]]:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = place.read_text()
                if str(self.folder / "mailman.cfg") in words:
                    yield int(place.parent.name), words


def _post(letter) -> bytes:
    """Write the message as a member posts it: what a list adds by itself is left out."""
    head, _, body = letter.eml.read_text().partition("\n\n")
    lines = re.sub(r"\n[ \t]+", " ", head).split("\n")
    kept = [line for line in lines if not OURS.match(line)]
    number = time.time_ns()
    kept += [f"From: {POSTER}", f"To: {LIST}", f"Message-ID: <{number}@bench.example.org>"]
    return "\r\n".join([*kept, "", *body.split("\n")]).encode()


def _rest(log: Path, start: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")
