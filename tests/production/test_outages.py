"""A process of the web dies, or all of it is away: what visitors see, and what the logs keep."""

import os
import re
import shlex
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.browser.site import SLUG
from tests.markers import night
from tests.production.stage import Stage

SECRET = "geheim-und-lang-genug"
READERS = 3


def answering(stage) -> set[int]:
    """List the processes that answer; the first only watches them."""
    first = stage.processes["web"].pid
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in stage.pids("web")}
    return {pid for pid, said in commands.items() if pid != first and "tracker" not in said}


@contextmanager
def reading(stage) -> Iterator[Counter[int]]:
    """Read a page again and again, several at a time; count the answers by status."""
    answers: Counter[int] = Counter()
    is_over = threading.Event()

    def read(visitor) -> None:
        while not is_over.is_set():
            answers[visitor.open(f"/groups/{SLUG}").status_code] += 1

    readers = [threading.Thread(target=read, args=(stage.visitor(),)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield answers
    finally:
        is_over.set()
        for reader in readers:
            reader.join()


def listening(stage) -> int:
    """Count who takes connections for the web: each process has a socket of its own."""
    return Path("/proc/net/tcp").read_text().count(f":{stage.web_port:04X} 00000000:0000 0A")


def is_replaced(stage, victim: int) -> bool:
    return len(answering(stage) - {victim}) == listening(stage) == 2


def has_come_to(answers: Counter[int], number: int) -> bool:
    return answers[200] >= number


@night("installations")
def test_a_dead_web_process_is_replaced_while_the_other_answers(stage):
    """One after the other dies: what it had in hand may be lost, and nothing after that."""
    stage.wait_for(lambda: listening(stage) == 2)
    first = answering(stage)
    with reading(stage) as answers:
        for victim in sorted(first):
            os.kill(victim, signal.SIGKILL)
            stage.wait_for(partial(is_replaced, stage, victim))
            stage.wait_for(partial(has_come_to, answers, answers[200] + 20))
    assert answering(stage).isdisjoint(first)
    assert stage.processes["web"].poll() is None
    assert set(answers) <= {200, 502}
    assert answers[502] <= READERS * len(first)


@night("installations")
def test_a_reload_replaces_both_web_processes_and_the_site_stays_up(stage):
    """As `systemctl reload belong-web` does, through the proxy."""
    reload = shlex.split(stage.unit("web").one("ExecReload"))
    stage.wait_for(lambda: listening(stage) == 2)
    first = answering(stage)
    with reading(stage) as answers:
        stage.wait_for(partial(has_come_to, answers, 20))
        pid = str(stage.processes["web"].pid)
        subprocess.run([each.replace("$MAINPID", pid) for each in reload], check=True)
        stage.wait_for(lambda: len(answering(stage) - first) == 2)
        stage.wait_for(lambda: answering(stage).isdisjoint(first))
        stage.wait_for(partial(has_come_to, answers, answers[200] + 20))
    assert set(answers) == {200}


@pytest.fixture
def outage(stage) -> Iterator[Stage]:
    stage.kill("web")
    yield stage
    stage.start("web")
    stage.wait_for(lambda: stage.visitor().open("/readyz").status_code == 200)


def test_no_log_keeps_a_path_or_an_address_when_the_web_is_away(outage):
    visitor = outage.visitor()
    visitor.headers["Referer"] = f"https://localhost/my-groups/{SECRET}"
    for _ in range(3):
        away = visitor.open(f"/my-groups/{SECRET}")
        assert away.status_code == 502
        assert "ask whether to send your words again" in away.text
        assert "enviar tus palabras de nuevo" in away.text
        assert visitor.press(f"/my-groups/{SECRET}/leave", email=SECRET).status_code == 502
    told = (outage.installation.logs / "belong.log").read_text()
    assert set(re.findall(r"^\S+ (status=\d+) seconds=\S+$", told, re.MULTILINE)) == {"status=502"}
    logs = [*outage.log.glob("*"), *outage.installation.logs.glob("*")]
    assert outage.installation.logs / "belong.log" in logs
    for log in logs:
        said = log.read_text()
        for word in (SECRET, "client:", "dpsk12.org", "/my-groups", "/groups/", "Traceback"):
            assert word not in said, log
