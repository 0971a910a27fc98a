"""Declarations of rooms reach the worker: an email, a job or a kind of rows is entered once."""

import json
import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from belong_mail.core.decryption import Opener
from belong_mail.core.encryption import Sealer, new_keys, sealed_for
from belong_mail.core.jobs import Job, JobKind, SealedJob
from belong_mail.delivery.retry import GIVE_UP_AFTER, TRANSACTIONAL
from belong_mail.delivery.work import Declared, DeclaredTwice
from belong_mail.ops import schema
from belong_mail.ops.rooms import EMAILS, LOOKUPS, TASKS

PACKAGE = Path(schema.__file__).parents[1]
DECLARING = re.compile(
    r"^(@?(does|writes|writes_copy|each_minute)\(|RETENTION\[|WRAPPED_COLUMNS[. ])",
    re.MULTILINE,
)


def kinds_of_jobs(base: type[JobKind] = JobKind) -> list[type[JobKind]]:
    for file in PACKAGE.glob("*/jobs.py"):
        import_module(f"belong_mail.{file.parent.name}.jobs")
    listed = [each for each in base.__subclasses__() if each is not SealedJob]
    return [*listed, *(one for each in base.__subclasses__() for one in kinds_of_jobs(each))]


def test_every_kind_of_job_has_one_function():
    kinds = [each.kind for each in kinds_of_jobs() if each.kind and each is not Tried]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) == TASKS.keys()
    assert len(TASKS) >= 25
    assert TASKS.keys() >= LOOKUPS
    assert len(LOOKUPS) == 10


@dataclass(frozen=True)
class Tried(SealedJob, kind="tried"):
    name: str
    groups: list[str]
    is_new: bool = False


@pytest.mark.parametrize(
    ("said", "opened"),
    [
        ({"name": "Ada", "groups": ["a"]}, Tried("Ada", ["a"])),
        ({"name": "Ada", "groups": [], "is_new": True, "more": 1}, Tried("Ada", [], is_new=True)),
        ({"name": 1, "groups": []}, None),
        ({"name": "\ud800", "groups": []}, None),
        ({"name": "Ada", "groups": [1]}, None),
        ({"name": "Ada", "groups": "a"}, None),
        ({"name": "Ada", "groups": [], "is_new": 1}, None),
        ({"name": "Ada"}, None),
        ({"name": "A" * 10_001, "groups": []}, None),
        ({"name": "Ada", "groups": ["a"] * 101}, None),
    ],
)
def test_a_job_of_another_form_is_not_read(said, opened):
    keys = new_keys()
    sealed = Sealer((keys["public"],)).seal(json.dumps(said).encode(), sealed_for("tried"))
    with nullcontext() if opened else pytest.raises(TypeError):
        assert Tried.open(Opener((keys["private"],)), Job(kind="tried", sealed=sealed)) == opened


def test_nothing_is_declared_twice():
    declared = Declared[int]()
    declared["sign-in"] = 1
    with pytest.raises(DeclaredTwice, match="sign-in"):
        declared.of("sign-out", "sign-in")(2)
    assert declared["sign-in"] == 1


def test_all_that_declares_something_is_loaded_by_the_list_of_rooms():
    declaring = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for file in PACKAGE.rglob("*.py")
        if DECLARING.search(file.read_text())
    }
    code = "import sys, belong_mail.{}; print(*sys.modules)"
    rooms, worker = (
        set(subprocess.check_output([sys.executable, "-c", code.format(each)], text=True).split())
        for each in ("ops.rooms", "worker.registry")
    )
    assert len(declaring) > 10
    # These are about all rooms, and stand above them.
    assert declaring - rooms == {"belong_mail.monitoring.alerts", "belong_mail.ops.key_rotation"}
    assert declaring <= worker


def test_times_of_delivery_are_those_of_emails_that_there_are():
    kinds = EMAILS.keys() | {"newsletter"}
    assert set(TRANSACTIONAL) | GIVE_UP_AFTER.keys() <= kinds


def test_the_schema_alone_knows_every_table():
    code = "from belong_mail.ops.schema import Base; print(*Base.metadata.tables)"
    program = [sys.executable, "-c", code]
    known = subprocess.run(program, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    tables = {
        line.split('"')[1]
        for file in PACKAGE.rglob("*.py")
        if "migrations" not in file.parts
        for line in file.read_text().splitlines()
        if line.strip().startswith("__tablename__ = ")
    }
    assert tables == set(known.stdout.split())
