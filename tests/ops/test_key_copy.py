"""A copy of the keys is tried before it is needed: whether it opens the database in use."""

import gzip
import io
import tarfile

import pytest

from belong_mail.core import encryption
from tests.conftest import KEYS
from tests.factories import make_members
from tests.markers import on_both, one_by_day
from tests.ops.copies import Settings, refused
from tests.processes import run

OTHER = encryption.new_keys()
NEVER = "No copy of the keys has been tried yet"


def lines(keys: dict[str, str]) -> bytes:
    return "".join(f"BELONG_{kind.upper()}_KEYS={key}\n" for kind, key in keys.items()).encode()


def archive(keys: dict[str, str]) -> bytes:
    """Make a tar of a folder of keys, as the guide does; the relay's password is there too."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as out:
        for name, text in {**keys, "relay": "smtps://user:password@example.org"}.items():
            member = tarfile.TarInfo(f"keys/{name}")
            member.size = len(text) + 1
            out.addfile(member, io.BytesIO(f"{text}\n".encode()))
    return made.getvalue()


@pytest.fixture
def used(environment, services, keyring) -> Settings:
    """The settings of a site with members, on a relay that `doctor` need not reach."""
    with services.writing.begin() as session:
        make_members(session, keyring, 3)
    quiet = {"BELONG_SMTP_URL": "mailbox:", "PGOPTIONS": "-c synchronous_commit=on"}
    return {**environment, **quiet}


@one_by_day("each form of a copy", of="database_url")
@on_both("the worker's own rights")
@pytest.mark.parametrize("form", [lines, archive])
def test_a_copy_that_opens_the_database_is_told_from_others_and_remembered(form, used, tmp_path):
    copy = tmp_path / "copy"
    assert NEVER in run(used, "doctor").stdout
    for kinds, said in (
        (("public", "private"), "do not open 3 of 3 subscriptions.wrapped_address"),
        (("index",), "BELONG_INDEX_KEYS is not the key"),
        (("secret",), "It lacks one of the secret keys in use here. Make a new copy."),
    ):
        copy.write_bytes(form(KEYS | {kind: OTHER[kind] for kind in kinds}))
        words = refused(used, "keys", "check", str(copy))
        assert said in words
        assert not any(key in words for key in (*KEYS.values(), *OTHER.values()))
    assert NEVER in run(used, "doctor").stdout
    copy.write_bytes(form(KEYS))
    right = run(used, "keys", "check", str(copy))
    assert (right.returncode, right.stderr) == (0, "")
    assert "A copy of the keys was last tried on" in run(used, "doctor").stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "It has no secret key. It has no public key."),
        (lines({**KEYS, "index": ""}), "It has no index key."),
        (lines(KEYS)[:-9], "BELONG_INDEX_KEYS has something that is not a key"),
        (archive(KEYS)[:700], "It has no "),
        (gzip.compress(archive(KEYS))[:-200], "It has no "),
        (gzip.compress(archive(KEYS))[:50] + bytes(900), "It has no "),
    ],
)
def test_an_incomplete_copy_of_the_keys_is_refused_in_a_sentence(content, said, used, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(content)
    assert said in refused(used, "keys", "check", str(copy))
