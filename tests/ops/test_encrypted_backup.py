"""Copies that are encrypted to an offline key: put back with it, refused when anything is off."""

import io
import os
import shutil
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from belong_mail.core import encrypted_file
from belong_mail.ops import backup_retention
from belong_mail.ops.backup import SCRATCH_PREFIX
from tests.db_dump import dump_of
from tests.factories import make_member
from tests.markers import on_both, on_sqlite, one_by_day
from tests.ops.copies import BIN, Settings, members, refused, succeed
from tests.processes import SECONDS, run, running
from tests.waiting import wait_until

pytestmark = on_both("copies")

CHUNK = encrypted_file.CHUNK_OCTETS + encrypted_file.TAG_OCTETS
SIZES = (0, 1, encrypted_file.CHUNK_OCTETS - 1, encrypted_file.CHUNK_OCTETS,
         encrypted_file.CHUNK_OCTETS + 1, 3 * encrypted_file.CHUNK_OCTETS)  # fmt: skip
# The exit status of what was stopped by SIGTERM, and went in order.
STOPPED = 143
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _flipped(whole: bytes, place: int) -> bytes:
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def _head(whole: bytes) -> int:
    end = encrypted_file.END_OF_HEAD.search(whole)
    assert end
    return end.end() + encrypted_file.NONCE_OCTETS


Break = Callable[[bytes, int], bytes]
BROKEN: dict[str, Break] = {
    "cut at its last chunk": lambda whole, head: whole[
        : head + (len(whole) - head - 1) // CHUNK * CHUNK
    ],
    "cut in its head": lambda whole, head: whole[: head - 40],
    "one bit of the text": lambda whole, head: _flipped(whole, head + CHUNK + 5),
    "something at its end": lambda whole, _head: whole + bytes(40),
}


@pytest.fixture
def key_file(tmp_path) -> Path:
    return tmp_path / "usb" / "key"


@pytest.fixture
def given(environment: Settings, key_file: Path) -> Settings:
    """The settings, with PostgreSQL's programs on the path and the public key of backups."""
    key_file.parent.mkdir()
    settings = {**environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    name, _, key = succeed(settings, "keys", "backup", str(key_file)).strip().partition("=")
    return {**settings, name: key}


def test_an_encrypted_copy_is_put_back_with_its_key_alone(
    given, services, keyring, key_file, tmp_path
):
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
    copy, scratch = tmp_path / "copy", Path(given["BELONG_STATE_FOLDER"])
    assert "encrypted" in succeed(given, "db", "backup", str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert b"alembic_version" not in copy.read_bytes()
    with services.writing.begin() as session:
        make_member(session, keyring, "eva@dpsk12.org")
    assert "--key-file" in refused(given, "db", "restore", str(copy))
    assert members(services) == 2
    services.engine.dispose()
    assert "on hold" in succeed(given, "db", "restore", str(copy), "--key-file", str(key_file))
    assert members(services) == 1
    assert not list(scratch.glob(f"{SCRATCH_PREFIX}*"))


def test_a_copy_that_was_changed_or_cut_is_refused_before_anything_is_replaced(
    given, services, key_file, tmp_path
):
    copy = tmp_path / "copy"
    succeed(given, "db", "backup", str(copy))
    before, whole = standing(services), copy.read_bytes()
    assert len(whole) > _head(whole) + 2 * CHUNK
    for how, broken in BROKEN.items():
        copy.write_bytes(broken(whole, _head(whole)))
        said = refused(given, "db", "restore", str(copy), "--key-file", str(key_file))
        assert "cut off or changed" in said or "its beginning is damaged" in said, how
        assert standing(services) == before, how
    assert not list(Path(given["BELONG_STATE_FOLDER"]).glob(f"{SCRATCH_PREFIX}*"))
    assert run(given, "hold", "status").returncode == 0


@on_sqlite
def test_another_key_or_a_plain_copy_in_its_place_is_refused(given, services, key_file, tmp_path):
    copy, other = tmp_path / "copy", tmp_path / "usb" / "other"
    succeed(given, "db", "backup", str(copy))
    succeed(given, "db", "drill", str(copy), "--key-file", str(key_file))
    assert "already exists" in refused(given, "keys", "backup", str(key_file))
    succeed(given, "keys", "backup", str(other))
    assert "another key" in refused(given, "db", "restore", str(copy), "--key-file", str(other))
    other.write_text("no key\n")
    assert "as one" in refused(given, "db", "restore", str(copy), "--key-file", str(other))
    plain = {**given, "BELONG_BACKUP_RECIPIENT": ""}
    succeed(plain, "db", "backup", str(tmp_path / "plain"))
    said = refused(given, "db", "restore", str(tmp_path / "plain"), "--key-file", str(key_file))
    assert "not an encrypted copy" in said


@on_sqlite
@pytest.mark.parametrize("file_is", ["there", "gone", "open to all"])
def test_after_a_restore_the_files_are_for_web_and_worker_alone(
    file_is, given, services, key_file, tmp_path
):
    """As the folder's owner and group, also when root restores."""
    copy, file = tmp_path / "copy", tmp_path / "belong.db"
    succeed(given, "db", "backup", str(copy))
    services.engine.dispose()
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    if file_is == "gone":
        file.unlink()
    elif file_is == "open to all":
        file.chmod(0o666)
    if os.geteuid() == 0:
        shutil.chown(tmp_path, 4321, 4321)
    succeed(given, "db", "restore", str(copy), "--key-file", str(key_file))
    folder = tmp_path.stat()
    for each in tmp_path.glob("belong.db*"):
        about = each.stat()
        assert stat.S_IMODE(about.st_mode) & ~0o060 == 0o600, each
        assert (about.st_uid, about.st_gid) == (folder.st_uid, folder.st_gid), each


def standing(services) -> dict[str, object]:
    """All rows but those that say which commands were run."""
    return {name: rows for name, rows in dump_of(services).items() if name != "audit_entries"}


@pytest.mark.parametrize("size", SIZES)
def test_an_encrypted_file_of_any_size_decrypts_to_the_same_bytes(size, tmp_path):
    private, public = encrypted_file.new_key_pair()
    encrypted_file.write_key_file(tmp_path / "key", private, public, NOON.date())
    text, sealed, opened = os.urandom(size), io.BytesIO(), io.BytesIO()
    encrypted_file.encrypt(io.BytesIO(text), sealed, public)
    (tmp_path / "copy").write_bytes(sealed.getvalue())
    assert encrypted_file.looks_whole(tmp_path / "copy")
    encrypted_file.decrypt(io.BytesIO(sealed.getvalue()), opened, tmp_path / "key")
    assert opened.getvalue() == text


@on_sqlite
def test_copies_in_a_folder_are_named_by_time_and_the_last_whole_one_stays(
    given, services, tmp_path
):
    """A broken one counts as none, and files of others are left alone."""
    folder = tmp_path / "copies"
    folder.mkdir()
    succeed(given, "db", "backup", str(folder))
    [made] = folder.iterdir()
    # A further one may be made in the second of this.
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    whole = made.rename(folder / backup_retention.file_name(an_hour_ago))
    old = folder / backup_retention.file_name(NOON - timedelta(days=99))
    older = folder / "belong-20250101T120000Z-step1.0.backup"  # as version 1.0 named it
    shutil.copy(whole, old)
    shutil.copy(whole, older)
    broken = folder / backup_retention.file_name(datetime.now(UTC) + timedelta(days=1))
    broken.write_bytes(whole.read_bytes()[:50])
    (folder / "belong-by-hand.backup").write_text("mine")
    assert backup_retention.delete_old(folder, 1, 0) == [older, old]
    assert {each.name for each in folder.iterdir()} == {
        whole.name, broken.name, "belong-by-hand.backup"
    }  # fmt: skip
    shutil.copy(whole, old)
    wrong = run(given, "db", "backup", str(tmp_path / "other"), "--keep", "1")
    assert (
        wrong.returncode == run(given, "db", "backup", str(folder), "--keep", "0").returncode == 2
    )
    assert "Older copies deleted" in succeed(given, "db", "backup", str(folder), "--keep", "1")
    assert not old.exists()


@one_by_day("each moment of a copy")
@on_sqlite
@pytest.mark.parametrize("command", ["drill", "restore"])
def test_a_command_that_is_stopped_leaves_no_copy_in_the_clear(command, given, services, tmp_path):
    """Stopped while it waits for its key, whose file is a pipe into which nobody writes."""
    copy, pipe, scratch = tmp_path / "copy", tmp_path / "pipe", Path(given["BELONG_STATE_FOLDER"])
    succeed(given, "db", "backup", str(copy))
    services.engine.dispose()
    os.mkfifo(pipe)
    with running(given, "db", command, str(copy), "--key-file", str(pipe)) as process:
        wait_until(lambda: any(scratch.glob(f"{SCRATCH_PREFIX}*/copy")))
        process.terminate()
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == STOPPED, said
    assert not list(scratch.glob(f"{SCRATCH_PREFIX}*"))


@one_by_day("each moment of a copy")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("key", ["with one", ""])
def test_a_backup_that_is_stopped_leaves_no_part_of_a_copy(key, given, services, tmp_path):
    """Stopped while pg_dump has said half of what it says."""
    programs, copies = tmp_path / "programs", tmp_path / "copies"
    programs.mkdir()
    copies.mkdir()
    (programs / "pg_dump").write_text("#!/bin/sh\nhead -c 300000 /dev/zero; exec sleep 600\n")
    (programs / "pg_dump").chmod(0o755)
    slow = {**given, "PATH": f"{programs}:{given['PATH']}"}
    if not key:
        slow["BELONG_BACKUP_RECIPIENT"] = ""
    with running(slow, "db", "backup", str(copies)) as process:
        wait_until(lambda: any(each.stat().st_size for each in copies.glob("*/copy")))
        # A signal that comes just before it waits for pg_dump is seen with the next one; systemd
        # would end pg_dump, too.
        while process.poll() is None:
            process.terminate()
            time.sleep(0.1)
        said, _ = process.communicate(timeout=SECONDS)
    # The encryption library puts an error of its own in the place of ours.
    assert process.returncode in {1, STOPPED}, said
    assert list(copies.iterdir()) == []


@on_sqlite
@pytest.mark.parametrize("key", ["", "with one"])
def test_each_backup_sweeps_away_what_killed_commands_left(key, given, services, tmp_path):
    """Those half a day old; a copy that is being made is left alone, and others’ files are."""
    copies, scratch = tmp_path / "copies", Path(given["BELONG_STATE_FOLDER"])
    left = [folder / f"{SCRATCH_PREFIX}a" for folder in (scratch, copies)]
    young, others = copies / f"{SCRATCH_PREFIX}b", copies / "mine"
    for folder in (*left, young, others):
        folder.mkdir(parents=True)
        (folder / "copy").write_text("in the clear")
    (stuck := copies / f"{SCRATCH_PREFIX}c").symlink_to(others)  # as another user's may be
    for hours, folders in ((13, (*left, others, stuck)), (11, (young,))):
        before = time.time() - hours * 60 * 60
        for folder in folders:
            os.utime(folder, (before, before), follow_symlinks=False)
    settings = given if key else {**given, "BELONG_BACKUP_RECIPIENT": ""}
    succeed(settings, "db", "backup", str(copies))
    assert not [folder for folder in left if folder.exists()]
    assert (young.exists(), others.exists()) == (True, True)
