"""The runbooks: shell blocks run as they stand, and the words that lead to each runbook."""

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from belong_mail.core import encryption
from tests.processes import ROOT

PAGES = ROOT / "docs/operators"
RUNBOOKS, KEYS, INSTALL = (PAGES / f"{name}.md" for name in ("runbooks", "keys", "install"))
OLD, NEW = encryption.new_keys(), encryption.new_keys()
KINDS = ("private", "public", "secret")
ROTATED = "".join(f"BELONG_{kind.upper()}_KEYS={OLD[kind]},{NEW[kind]}\n" for kind in KINDS)
# Lists that `keys rotate` leaves when it fails, and lists of other keys.
WRONG = {
    "nothing": "",
    "a new key alone": f"BELONG_PRIVATE_KEYS={NEW['private']}\n",
    "the old list": f"BELONG_PRIVATE_KEYS={OLD['private']}\n",
}


def blocks(document: Path) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL)


def words_of_the_program() -> str:
    """Return all modules as one text, in which a sentence of several lines is one."""
    texts = (file.read_text() for file in sorted((ROOT / "belong_mail").rglob("*.py")))
    return re.sub(r'"\s*f?"', "", "\n".join(texts))


def test_each_symptom_of_the_table_is_what_the_program_says():
    program, table = words_of_the_program(), RUNBOOKS.read_text().partition("\n## ")[0]
    found = " ".join(re.findall(r"^\| (“.*”) \| .* \|$", table, re.MULTILINE))
    said = [part.strip() for each in re.findall("“(.*?)”", found) for part in each.split("…")]
    assert len(said) > 20
    assert [each for each in said if each not in program] == []


@pytest.fixture
def keys(tmp_path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    for kind in KINDS:
        (folder / kind).write_text(f"{OLD[kind]}\n")
        (folder / kind).chmod(0o400)
    return folder


def follow(script: str, folder: Path, flags: str = "-ec") -> subprocess.CompletedProcess[str]:
    """Run a block as whoever this is, in a folder that stands for the machine’s."""
    for place in ("/etc/belong-mail", "/media/usb", "/root"):
        script = script.replace(place, str(folder))
    script = script.replace("/var/lib/belong-mail", str(folder)).replace("-o root -g belong ", "")
    beside = 'systemctl() { echo "$@"; }; belong() { :; }; mountpoint() { false; }'
    beside += '; sudo() { shift 2; "$@"; }; sync() { :; }\n'
    return subprocess.run(
        ["sh", flags, beside + script],
        capture_output=True, text=True, check=False, cwd=folder,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def rotation() -> str:
    found = [each for each in blocks(KEYS) if "replace p" in each]
    assert len(found) == 2
    return "\n".join(found)


def test_rotated_lists_take_the_place_of_the_old_ones(keys):
    (keys.parent / "belong-keys").write_text(ROTATED)
    done = follow(rotation(), keys.parent, "-c")
    assert (done.stdout, done.stderr) == (
        "restart belong-worker\nrestart belong-worker belong-web\n",
        "",
    )
    for kind in KINDS:
        assert (keys / kind).read_text() == f"{OLD[kind]},{NEW[kind]}\n"
        assert (keys / kind).stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize("wrong", WRONG)
def test_when_the_rotation_failed_no_key_is_lost(wrong, keys):
    (keys.parent / "belong-keys").write_text(WRONG[wrong])
    done = follow(rotation(), keys.parent, "-c")
    assert (done.stdout, "private was left as it is" in done.stderr) == ("", True)
    assert {each.name: each.read_text() for each in keys.iterdir()} == {
        kind: f"{OLD[kind]}\n" for kind in KINDS
    }


def test_after_a_leak_the_old_secret_is_gone(keys):
    [script] = [each for each in blocks(RUNBOOKS) if "token_urlsafe" in each]
    done = follow(script, keys.parent)
    assert (done.stdout, done.stderr) == ("restart belong-worker belong-web\n", "")
    made = (keys / "secret").read_text().strip()
    assert OLD["secret"] not in made
    assert len(made) == len(OLD["secret"])
    assert (keys / "secret").stat().st_mode & 0o777 == 0o640


def test_the_runbooks_command_deletes_everything_that_an_intruder_may_have_left(tmp_path):
    """All that the threat model names, and nothing else."""
    [script] = [each for each in blocks(RUNBOOKS) if "DELETE FROM" in each]
    [block] = re.findall(r"```sql\n(.*?)```", RUNBOOKS.read_text(), re.DOTALL)
    tables = re.findall(r"DELETE FROM (\w+);", block)
    threats = (ROOT / "docs/threats.md").read_text()
    [named] = re.findall(r"delete\s+all\s+rows\s+of\s+(.*?),\s+look\s+in", threats)
    assert {*tables} == set(re.findall(r"`(\w+)`", named))
    # pasted whole: psql's \password would read the line after it as the new password
    assert "\\" not in block
    assert block.strip().splitlines()[-1].strip().startswith("SELECT pg_terminate_backend(pid)")
    assert RUNBOOKS.read_text().index("\\password belong_web\n") < RUNBOOKS.read_text().index(block)
    with closing(sqlite3.connect(tmp_path / "belong.db")) as database:
        for table in (*tables, "subscriptions"):
            database.execute(f"CREATE TABLE {table} AS SELECT 1 AS id")
        done = follow(script, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "stop belong-web\nstart belong-web\n"
        left = [
            table for table in (*tables, "subscriptions")
            if database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        ]  # fmt: skip
    assert left == ["subscriptions"]


def test_a_lost_key_comes_back_from_the_copy_and_newer_ones_stay(keys):
    [save] = [each for each in blocks(INSTALL) if "tar -C" in each]
    [bring] = [each for each in blocks(RUNBOOKS) if "tar -C" in each]
    assert follow(save, keys.parent).returncode == 0
    (keys / "secret").chmod(0o640)
    (keys / "secret").write_text("rotated since\n")
    before = {each.name: (each.read_text(), each.stat().st_mode) for each in keys.iterdir()}
    (keys / "private").unlink()
    done = follow(bring, keys.parent)
    assert (done.returncode, done.stdout) == (0, "restart belong-worker belong-web\n")
    assert {each.name: (each.read_text(), each.stat().st_mode) for each in keys.iterdir()} == before
