"""The runbooks' shell blocks about keys: run as they stand, on folders of their own."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from belong_mail.core import encryption
from tests.processes import ROOT

RUNBOOKS, OPERATORS = ROOT / "docs/operators/runbooks.md", ROOT / "docs/operators.md"
OLD, NEW = encryption.new_keys(), encryption.new_keys()
KINDS = ("private", "public", "secret")
ROTATED = "".join(f"BELONG_{kind.upper()}_KEYS={OLD[kind]},{NEW[kind]}\n" for kind in KINDS)
# What `keys rotate` leaves when it fails, and what is of other keys.
WRONG = {
    "nothing": "",
    "a new key alone": f"BELONG_PRIVATE_KEYS={NEW['private']}\n",
    "the old list": f"BELONG_PRIVATE_KEYS={OLD['private']}\n",
}
both_documents = pytest.mark.parametrize(
    "document", [RUNBOOKS, OPERATORS], ids=lambda each: each.stem
)


def blocks(document: Path) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    for kind in KINDS:
        (folder / kind).write_text(f"{OLD[kind]}\n")
        (folder / kind).chmod(0o400)
    return folder


def follow(script: str, keys: Path) -> subprocess.CompletedProcess[str]:
    """Run a block, with nothing to restart, and with the owner that this test has."""
    script = script.replace("/etc/belong-mail/keys", str(keys))
    script = script.replace("/root/belong-keys", str(keys.parent / "belong-keys"))
    script = script.replace("-o root -g belong ", "")
    return subprocess.run(
        ["sh", "-c", f"systemctl() {{ echo restarted; }}\n{script}"],
        capture_output=True, text=True, check=False, cwd=keys.parent,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def rotation(document: Path) -> str:
    found = [each for each in blocks(document) if "replace p" in each]
    assert len(found) == 2
    return "\n".join(found)


@both_documents
def test_rotated_lists_take_the_place_of_the_old_ones(document: Path, keys: Path) -> None:
    (keys.parent / "belong-keys").write_text(ROTATED)
    done = follow(rotation(document), keys)
    assert (done.stdout, done.stderr) == ("restarted\nrestarted\n", "")
    for kind in KINDS:
        assert (keys / kind).read_text() == f"{OLD[kind]},{NEW[kind]}\n"
        assert (keys / kind).stat().st_mode & 0o777 == 0o400


@both_documents
@pytest.mark.parametrize("wrong", WRONG)
def test_when_the_rotation_failed_no_key_is_lost(wrong: str, document: Path, keys: Path) -> None:
    (keys.parent / "belong-keys").write_text(WRONG[wrong])
    done = follow(rotation(document), keys)
    assert (done.stdout, "private was left as it is" in done.stderr) == ("", True)
    assert {each.name: each.read_text() for each in keys.iterdir()} == {
        kind: f"{OLD[kind]}\n" for kind in KINDS
    }


def test_after_a_leak_the_old_secret_is_gone(keys: Path) -> None:
    [script] = [each for each in blocks(RUNBOOKS) if "token_urlsafe" in each]
    done = follow(script, keys)
    assert (done.stdout, done.stderr) == ("restarted\n", "")
    made = (keys / "secret").read_text().strip()
    assert OLD["secret"] not in made
    assert len(made) == len(OLD["secret"])
    assert (keys / "secret").stat().st_mode & 0o777 == 0o640


def test_the_runbook_for_a_leak_deletes_all_that_the_threat_model_names() -> None:
    [block] = re.findall(r"```sql\n(.*?)```", RUNBOOKS.read_text(), re.DOTALL)
    deleted = set(re.findall(r"DELETE FROM (\w+);", block))
    [named] = re.findall(
        r"delete\nall rows of (.*?), look in", (ROOT / "docs/threats.md").read_text()
    )
    assert deleted == set(re.findall(r"`(\w+)`", named))
