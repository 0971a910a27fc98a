"""What `setup` puts on a machine: accounts, folders, files. What is there is left as it is."""

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# systemd is the one that runs this machine.
SYSTEMD = Path("/run/systemd/system")


class State(Enum):
    """How something stands; what differs is reported, and never changed."""

    MISSING = "missing"
    THERE = "there"
    DIFFERS = "differs"


class SetupFailed(Exception):
    """Says what could not be done."""


@dataclass(frozen=True)
class Machine:
    """The files of a system: this one's, or those below another root, where nothing is started."""

    root: Path

    @property
    def is_this(self) -> bool:
        return self.root == Path("/")

    def place(self, path: str) -> Path:
        return self.root / path.removeprefix("/")

    def number(self, database: str, name: str) -> int | None:
        """Return the number of a user (`passwd`) or group (`group`); None if there is none."""
        file = self.place(f"/etc/{database}")
        lines = file.read_text().splitlines() if file.exists() else []
        found = [line.split(":")[2] for line in lines if line.startswith(f"{name}:")]
        return int(found[0]) if found else None

    def owner(self, owner: str, group: str) -> tuple[int, int]:
        user_id, group_id = self.number("passwd", owner), self.number("group", group)
        if user_id is None or group_id is None:
            raise SetupFailed(f"There is no user {owner} or no group {group}.")
        return user_id, group_id

    def run(self, *command: str) -> None:
        """Run a program of the system, or raise SetupFailed with what it said."""
        if shutil.which(command[0]) is None:
            raise SetupFailed(f"{command[0]} is not installed.")
        ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own
        if ended.returncode:
            raise SetupFailed(f"{' '.join(command)}: {ended.stderr.strip()}")

    def run_as(
        self,
        user: str,
        group: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        is_quiet: bool,
    ) -> int:
        """Run a program of ours as a user of the system, with a further group; return its code."""
        user_id, group_id = self.owner(user, user)
        out = subprocess.DEVNULL if is_quiet else None
        return subprocess.run(  # noqa: S603 - our own
            command, check=False, cwd="/", env=env, user=user_id, group=group_id, umask=0o007,
            extra_groups=[self.owner(user, group)[1]], stdout=out, stderr=out,
        ).returncode  # fmt: skip

    def is_enabled(self, unit: str) -> bool:
        asked = ["systemctl", "is-enabled", "--quiet", unit]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0  # noqa: S603 - our own

    def enable(self, unit: str) -> str:
        """Have systemd start a unit, now if it runs the machine; return what was done."""
        now = ["--now"] if SYSTEMD.exists() else []
        self.run("systemctl", "enable", *now, unit)
        return "started" if now else "enabled"


@dataclass(frozen=True)
class Group:
    name: str

    @property
    def words(self) -> str:
        return f"group {self.name}"

    def state(self, machine: Machine) -> State:
        return State.MISSING if machine.number("group", self.name) is None else State.THERE

    def make(self, machine: Machine) -> None:
        machine.run("groupadd", "--prefix", str(machine.root), "--system", self.name)


@dataclass(frozen=True)
class User:
    """An account that nobody logs in to, with a group of its own and a further one."""

    name: str
    group: str

    @property
    def words(self) -> str:
        return f"user {self.name}"

    def state(self, machine: Machine) -> State:
        return State.MISSING if machine.number("passwd", self.name) is None else State.THERE

    def make(self, machine: Machine) -> None:
        machine.run(
            "useradd", "--prefix", str(machine.root), "--system", "--user-group",
            "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin",
            "--groups", self.group, self.name,
        )  # fmt: skip


@dataclass(frozen=True)
class Folder:
    path: str
    mode: int
    owner: str = "root"
    group: str = "root"

    @property
    def words(self) -> str:
        return f"folder {self.path} ({self.mode:04o}, {self.owner}:{self.group})"

    def state(self, machine: Machine) -> State:
        return _state(machine, self)

    def make(self, machine: Machine) -> None:
        place = machine.place(self.path)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(mode=0o700)
        # Whoever owns the folder around it may have put a link in its place: none is followed.
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(descriptor, *machine.owner(self.owner, self.group))
            os.fchmod(descriptor, self.mode)  # after: a change of owner takes the group's mark away
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class File:
    """A file with its text; `is_ours` is one that another version of ours may bring otherwise."""

    path: str
    mode: int
    text: str
    owner: str = "root"
    group: str = "root"
    is_ours: bool = False

    @property
    def words(self) -> str:
        return f"file {self.path} ({self.mode:04o}, {self.owner}:{self.group})"

    def state(self, machine: Machine) -> State:
        state = _state(machine, self)
        if state is State.THERE and self.is_ours:
            is_same = machine.place(self.path).read_text() == self.text
            return State.THERE if is_same else State.DIFFERS
        return state

    def make(self, machine: Machine) -> None:
        """Write it whole or not at all, never readable by more than it is for."""
        place = machine.place(self.path)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(self.text)
            os.fchown(descriptor, *machine.owner(self.owner, self.group))
            os.fchmod(descriptor, self.mode)
            out.flush()
            os.fsync(descriptor)
        try:
            os.link(part, place)  # unlike a rename, never in the place of another
        finally:
            part.unlink()


Thing = Group | User | Folder | File


def _state(machine: Machine, thing: Folder | File) -> State:
    place = machine.place(thing.path)
    try:
        found = place.stat()
    except FileNotFoundError:
        return State.MISSING
    except PermissionError:  # who only looks, and is not root, sees that it is there
        return State.THERE
    owner = machine.number("passwd", thing.owner), machine.number("group", thing.group)
    is_right = (found.st_uid, found.st_gid) == owner and stat.S_IMODE(found.st_mode) == thing.mode
    return State.THERE if is_right else State.DIFFERS
