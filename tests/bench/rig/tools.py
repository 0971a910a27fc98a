"""The programs that measure and the peers: fetched into var/bench, never installed, no daemon."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.relays.debian import IS_REQUIRED, unpack

ROOT = Path(__file__).resolve().parent.parent.parent.parent
FOLDER = ROOT / "var" / "bench"
DEBIAN = FOLDER / "debian"
# Programs, and the Debian packages that have them.
PACKAGES = {
    "usr/sbin/smtp-source": ("postfix",),
    "usr/sbin/smtp-sink": ("postfix",),
    "usr/bin/stunnel4": ("stunnel4", "libwrap0"),
    "usr/bin/mlmmj-send": ("mlmmj",),
    "usr/bin/strace": ("strace",),
}
NODEMAILER, MAILMAN = "nodemailer@10", "mailman>=3.3.10,<4"
MINUTES = 10 * 60


class NotHere(Exception):
    """A program is missing and could not be fetched; says what can be done."""


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    libraries: str = ""

    def environment(self) -> dict[str, str]:
        return {**os.environ, **({"LD_LIBRARY_PATH": self.libraries} if self.libraries else {})}


def program(place: str) -> Program:
    """Return the machine's own program, or one out of Debian's package; else raise NotHere."""
    name = Path(place).name
    own = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if own:
        return Program(own)
    if not (DEBIAN / place).is_file():
        _unpack(name, PACKAGES[place])
    libraries = [str(file.parent) for file in sorted(DEBIAN.rglob("lib*.so*"))]
    return Program(str(DEBIAN / place), ":".join(dict.fromkeys(libraries)))


def require(*places: str) -> None:
    """Say loudly what a test of the bench lacks, or fail where it is required."""
    try:
        for each in places:
            program(each)
    except NotHere as error:
        (pytest.fail if IS_REQUIRED else pytest.skip)(f"NOT TESTED: the bench; {error}")


def _unpack(name: str, packages: tuple[str, ...]) -> None:
    try:
        unpack(DEBIAN, *packages)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere(
            f"{name} is missing, and apt-get did not fetch it. Try `apt-get update`, or install"
            f" {packages[0]} here: {error}"
        ) from error


def nodemailer() -> Path | None:
    """Return the folder that holds nodemailer for node, if it is installed."""
    folder = FOLDER / "nodemailer"
    return folder if (folder / "node_modules" / "nodemailer").is_dir() else None


def install_nodemailer() -> None:
    if nodemailer() is not None:
        return
    folder = FOLDER / "nodemailer"
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("npm"):
        quietly = ("--no-audit", "--no-fund", "--silent", "--prefix", str(folder))
        _run("npm", "install", *quietly, NODEMAILER, folder=folder)
    if nodemailer() is None:
        raise NotHere("nodemailer could not be installed: it needs node, npm and its registry.")


def mailman() -> Path | None:
    command = FOLDER / "mailman" / "bin" / "mailman"
    return command if command.is_file() else None


def install_mailman() -> None:
    if mailman() is not None:
        return
    folder = FOLDER / "mailman"
    python = shutil.which("python3") or "python3"
    _run(python, "-m", "venv", str(folder))
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", MAILMAN)
    if mailman() is None:
        raise NotHere("Mailman could not be installed: it needs python3-venv, pip and its index.")


INSTALLERS = {"nodemailer": install_nodemailer, "mailman": install_mailman}


def _run(*command: str, folder: Path = ROOT) -> str:
    answer = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MINUTES,
        check=False,
    )
    return answer.stdout
