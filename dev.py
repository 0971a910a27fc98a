#!/usr/bin/env python3
"""Set up, serve and check Belong Mail, with nothing but python3 and pip on the machine.

Packages go to .venv and everything that changes to var/; git ignores both.
"""

import argparse
import ctypes
import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one is told so here
    sys.exit("Belong Mail needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

ROOT = Path(__file__).resolve().parent
VENV, VAR, REQUIREMENTS = ROOT / ".venv", ROOT / "var", ROOT / "requirements"
# The Python that makes .venv: the one that runs this or, if that is in a .venv, the one below it.
PYTHON = getattr(sys, "_base_executable", sys.executable)

CHECKS = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "lint-imports": ("lint-imports",),
    "djlint": ("djlint", "templates", "emails", "--lint"),
}
# A whole run also compiles the tests for pytest's processes, on the core that mypy leaves free.
COLLECT = {"pytest": ("pytest", "--collect-only", "-qq")}
C_LIBRARY = ctypes.CDLL(None)
LOCKS = {
    "run": "pyproject.toml",
    "build": "--group build",
    "test": "pyproject.toml --group test --group lint",
}
NOT_INSTALLED = """The packages could not be installed: pip says why above. Is this machine online?
Behind a proxy, set HTTPS_PROXY; with an index of your own, PIP_INDEX_URL. Then start again."""
PORT = 5000
SECONDS_TO_END = 20


# ---- Set up ----


def set_up(lock: str) -> None:
    """Install requirements/LOCK.txt in .venv: "run", or "test", which includes all of "run".

    Replaces a .venv that is unfinished, or of another place, Python or lock. Does nothing, and
    needs no network, if nothing has changed.
    """
    VAR.mkdir(exist_ok=True)
    with (VAR / "set-up.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if is_set_up(lock):
            return
        print(f"Setting up .venv from requirements/{lock}.txt; this is done once …", flush=True)
        if is_set_up("run") and not stamp("test").exists():
            stamp("run").unlink()  # a running server keeps its packages
        else:
            make_venv(VENV)
        install(VENV, "--require-hashes", "-r", REQUIREMENTS / f"{lock}.txt")
        for each in ("run", lock):
            stamp(each).write_text(fingerprint(each))


def is_set_up(lock: str) -> bool:
    """Return whether .venv was finished from this lock, in this place, by this Python."""
    is_there = stamp(lock).is_file() and tool("python").exists()
    return is_there and stamp(lock).read_text() == fingerprint(lock)


def stamp(lock: str) -> Path:
    return VENV / f"{lock}-is-set-up"


def fingerprint(lock: str) -> str:
    pinned = (REQUIREMENTS / f"{lock}.txt").read_text()
    return hashlib.sha256(f"{sys.version} {PYTHON} {VENV} {pinned}".encode()).hexdigest()


def tool(name: str, folder: Path = VENV) -> Path:
    return folder / "bin" / name


def make_venv(folder: Path) -> None:
    """Make a new .venv without pip, for which Debian would need another package."""
    venv.EnvBuilder(symlinks=True, with_pip=False, clear=True).create(folder)


def install(folder: Path, *what: str | Path) -> None:
    """Install packages by the machine's pip."""
    pip = (PYTHON, "-m", "pip", "--python", tool("python", folder))
    # pip would compile everything; Python compiles what it imports, a fifth of that.
    quietly = ("--quiet", "--no-input", "--no-compile", "--disable-pip-version-check")
    attempt = run_through(*pip, "install", *quietly, *what)
    if attempt.returncode != 0:
        raise SystemExit(f"{attempt.stdout[-2000:]}\n{NOT_INSTALLED}")


# ---- Processes ----


def start(
    *command: str | Path, env: Mapping[str, str] | None = None, is_shown: bool = True
) -> subprocess.Popen[str]:
    """Start a process in a group of its own, so that Ctrl-C does not reach it."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=None if is_shown else subprocess.PIPE,
        stderr=None if is_shown else subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - this program has one thread
    )


def end_with_parent() -> None:
    """Ask Linux for a SIGINT when the parent dies, even by kill -9 (PR_SET_PDEATHSIG is 1)."""
    if sys.platform == "linux":
        C_LIBRARY.prctl(1, signal.SIGINT)


@contextmanager
def together() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Yield a dict for processes by name; whatever happens, end them and their children."""
    ours: dict[str, subprocess.Popen[str]] = {}
    try:
        yield ours
    finally:
        for process in ours.values():
            process.terminate()
        for process in ours.values():
            wait_for_end(process)
            signal_group(process, signal.SIGKILL)
            process.wait()


def wait_for_end(process: subprocess.Popen[str]) -> None:
    """Wait for a process's end, asking each second, as a starting web server misses a signal."""
    for _ in range(SECONDS_TO_END):
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return
        signal_group(process, signal.SIGTERM)


def signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def run_through(
    *command: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return its status and output."""
    with together() as ours:
        ours["it"] = start(*command, env=env, is_shown=False)
        said, _ = ours["it"].communicate()
    return subprocess.CompletedProcess(command, ours["it"].returncode, said)


def become(*arguments: str) -> NoReturn:
    """Replace this process with the Python of .venv."""
    os.chdir(ROOT)
    os.execv(tool("python"), [str(tool("python")), *arguments])  # noqa: S606


# ---- Serve ----


def run(port: int) -> int:
    """Serve the app on this machine until Ctrl-C; `web` keeps no key of the worker."""
    refuse_taken(port)
    set_up("run")
    address = f"http://localhost:{port}"
    env = {"BELONG_BASE_URL": address, **os.environ}
    with suppress(KeyboardInterrupt), together() as ours:
        prepared = run_through(*flask("prepare"), env=env)
        if prepared.returncode != 0:
            raise SystemExit(f"{prepared.stdout}\nThe app could not be set up: see above.")
        web = flask("web", "--port", str(port), "--workers", "1")
        ours["The web server"] = start(*web, env=env)
        ours["The worker"] = start(*flask("worker"), env=env)
        wait_until_served(port, ours)
        print(f"\nBelong Mail   {address}/\nIts mailbox   {address}/dev/mailbox")
        print(f"{prepared.stdout}Ctrl-C ends it.", flush=True)
        while True:
            watch(ours)
            time.sleep(0.2)
    return 0


def refuse_taken(port: int) -> None:
    """Raise SystemExit if the port is taken; macOS would let a second server listen there."""
    with suppress(OSError, OverflowError), socket.create_connection(("localhost", port), timeout=1):
        raise SystemExit(f"Port {port} is taken. Choose another with --port.")


def flask(*arguments: str) -> tuple[str | Path, ...]:
    return tool("python"), "-m", "flask", "--app", "wsgi", *arguments


def wait_until_served(port: int, ours: Mapping[str, subprocess.Popen[str]]) -> None:
    while not answers(port):
        watch(ours)
        time.sleep(0.03)


def answers(port: int) -> bool:
    """Ask without http.client, whose destructors swallow a Ctrl-C."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as web:
        web.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return web.recv(12, socket.MSG_WAITALL).endswith(b" 200")
    return False


def watch(ours: Mapping[str, subprocess.Popen[str]]) -> None:
    """Raise SystemExit if a process died."""
    for name, process in ours.items():
        if process.poll() is not None:
            raise SystemExit(
                f"{name} stopped by itself (status {process.returncode}), so all was stopped."
            )


# ---- Check ----


def lint(checks: Mapping[str, tuple[str, ...]] = CHECKS) -> int:
    """Run all checks; return 1 if one complains."""
    set_up("test")
    complaining = []
    with together() as ours:
        for name, (program, *arguments) in checks.items():
            ours[name] = start(tool(program), *arguments, is_shown=False)
        for name, process in ours.items():
            said, _ = process.communicate()
            if process.returncode != 0:
                complaining.append(name)
                print(f"---- {name} ----\n{said}", flush=True)
    print(f"Not clean: {', '.join(complaining)}." if complaining else "Clean.", flush=True)
    return 1 if complaining else 0


def test(arguments: list[str]) -> int:
    """Run the checks and the tests that a change must pass, or with --night all tests.

    With other arguments, runs only pytest, with these arguments.
    """
    is_whole = arguments in ([], ["--night"])
    if is_whole and lint(CHECKS | COLLECT) != 0:
        return 1
    set_up("test")
    return become("-m", "pytest", *(("-n", "auto") if is_whole else ()), *arguments)


def bench(name: str = "delivery", *arguments: str) -> int:
    """Run tests/bench/NAME.py with the arguments."""
    set_up("test")
    return become("-m", f"tests.bench.{name}", *arguments)


# ---- Lock ----


def lock() -> int:
    """Renew the locks from pyproject.toml; locked versions that still fit stay."""
    own = VAR / "uv"
    if not tool("uv", own).exists():
        make_venv(own)
        install(own, "uv")
    how = "pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11"
    for name, what in LOCKS.items():
        out = f"requirements/{name}.txt"
        solved = run_through(tool("uv", own), *how.split(), *what.split(), "-o", out)
        if solved.returncode != 0:
            raise SystemExit(f"{solved.stdout}\n{out} could not be renewed.")
    return 0


# ---- Begin ----


def main(arguments: list[str]) -> int:
    # Tests start hundreds of processes; if nothing compiled is kept, each would compile again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, interrupt)
    if arguments[:1] == ["test"]:
        return test(arguments[1:])
    if arguments[:1] == ["bench"] and not {"-h", "--help"} & set(arguments[1:2]):
        return bench(*arguments[1:])
    given = vars(commands().parse_args(arguments))
    return int(given.pop("command")(**given))


def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop, and ignore further signals: each process that ends has a time limit."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def commands() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    named = parser.add_subparsers(required=True, metavar="COMMAND")
    running = named.add_parser("run", help="run the app here, with sample groups and a mailbox")
    running.add_argument("--port", type=int, default=PORT)
    running.set_defaults(command=run)
    named.add_parser(
        "test",
        help="run the checks and what a change must pass, with --night all tests; "
        "with other arguments, run pytest with them",
    )
    named.add_parser("lint", help="run only the checks").set_defaults(command=lint)
    named.add_parser("bench", help="run a benchmark by its name, or that of delivery")
    named.add_parser("lock", help="renew requirements/ from pyproject.toml").set_defaults(
        command=lock
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nStopped. An unfinished setup is repaired next time.")
    except OSError as error:
        sys.exit(f"dev.py failed: {error}")
