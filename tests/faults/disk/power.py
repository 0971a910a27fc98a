"""Let people join while all that is written is recorded; then cut the power at every moment.

A disk after a cut: for each file all that was written before its last sync, and of what came later
any part, in any order, the last write perhaps torn between two sectors.
"""

import os
import random
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.disk.library import Disk
from tests.faults.disk.site import Site
from tests.servers.smtp import Server

VISITORS = 6
CUTS_EACH_MOMENT = 3
SECTOR_OCTETS = 512
HEAD = re.compile(rb"(\w) \.(\S*) (\d+) (\d+)\n")
JOINED = "j"


@dataclass(frozen=True)
class Step:
    """One thing done to a file: a write, truncation, sync or removal; or that a page was shown."""

    what: str
    file: str
    at: int
    data: bytes


@dataclass
class File:
    """A file as the program sees it: what is on the disk for sure, and what is on its way."""

    safe: bytearray = field(default_factory=bytearray)
    on_its_way: list[Step] = field(default_factory=list)

    def do(self, step: Step) -> None:
        if step.what == "u":
            self.safe, self.on_its_way = bytearray(), []
            return
        self.on_its_way.append(step)
        if step.what == "s":
            for each in self.on_its_way:
                _apply(self.safe, each)
            self.on_its_way = []

    def after_a_cut(self, chance: random.Random) -> bytes:
        """Return what may be found afterwards."""
        found = bytearray(self.safe)
        survivors = [step for step in self.on_its_way if chance.random() < 0.5]
        chance.shuffle(survivors)
        for number, step in enumerate(survivors, 1):
            is_torn = number == len(survivors) and len(step.data) > SECTOR_OCTETS
            whole = len(step.data)
            kept = chance.randrange(0, whole, SECTOR_OCTETS) if is_torn else whole
            _apply(found, Step(step.what, step.file, step.at, step.data[:kept]))
        return bytes(found)


def main(folder: Path) -> None:
    """Print what is wrong, a line a finding, then how often the power was cut."""
    with Server() as relay:
        site = Site(folder, relay, folder / "ledger.jsonl")
    site.put_back()
    files = {"": File(bytearray(site.file.read_bytes()))}
    record = os.open(folder / "record", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    disk = Disk(site.file)
    disk.record(record)
    for number in range(VISITORS):
        if site.join(f"visitor{number}@dpsk12.org"):
            os.write(record, f"{JOINED} . 0 0\n".encode())
        if number % 2:
            site.close()
    disk.record(-1)
    chance = random.Random(VISITORS)
    cuts = joined = 0
    for step in _steps((folder / "record").read_bytes()):
        if step.what == JOINED:
            joined += 1
        else:
            files.setdefault(step.file, File()).do(step)
        for _ in range(CUTS_EACH_MOMENT):
            cuts += 1
            _restore(folder / "after", files, chance)
            sys.stdout.writelines(f"{each}\n" for each in _wrong(folder / "after.db", joined))
    sys.stdout.write(f"{joined} joined, {cuts} cuts\n")


def _apply(content: bytearray, step: Step) -> None:
    if step.what == "t":
        del content[step.at :]
    elif step.what == "w":
        content.extend(bytes(max(0, step.at - len(content))))
        content[step.at : step.at + len(step.data)] = step.data


def _steps(record: bytes) -> Iterator[Step]:
    place = 0
    while place < len(record):
        head = HEAD.match(record, place)
        assert head is not None
        what, file, at, length = head[1].decode(), head[2].decode(), int(head[3]), int(head[4])
        end = head.end() + (length if what == "w" else 0)
        yield Step(what, file, at, record[head.end() : end])
        place = end


def _restore(base: Path, files: dict[str, File], chance: random.Random) -> None:
    for leftover in base.parent.glob("after.db*"):
        leftover.unlink()
    for suffix, file in files.items():
        content = file.after_a_cut(chance)
        if content:
            Path(f"{base}.db{suffix}").write_bytes(content)


def _wrong(file: Path, joined: int) -> Iterator[str]:
    try:
        with closing(sqlite3.connect(file)) as connection:
            [(sound,)] = connection.execute("PRAGMA integrity_check").fetchall()
            [(kept,)] = connection.execute("SELECT count(*) FROM jobs").fetchall()
    except sqlite3.DatabaseError as error:
        yield f"damaged: {error}"
        return
    if sound != "ok":
        yield f"damaged: {sound}"
    if kept < joined:
        yield f"{joined} were told that it was stored, {kept} are there"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
