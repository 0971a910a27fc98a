"""Sealing and opening: what one place, row and key made opens nowhere else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.core import encryption
from belong_mail.core.decryption import (
    BlindIndex,
    DecryptionError,
    KeysMissing,
    Opener,
    worker_keys,
)
from belong_mail.core.encryption import Sealer

OLD, NEW, FOREIGN = encryption.new_keys(), encryption.new_keys(), encryption.new_keys()
PLACE = "jobs.sealed"
ADDRESS = b"ada.lovelace@dpsk12.org"

sealer = Sealer((OLD["public"],))
opener = Opener((OLD["private"],))


@given(st.binary(max_size=2000))
def test_sealed_bytes_open_to_the_same_bytes(data):
    assert opener.open(sealer.seal(data, PLACE), PLACE) == data


@given(st.binary(max_size=2000), st.text(min_size=1, max_size=30))
def test_wrapped_bytes_open_to_the_same_bytes(data, row):
    assert opener.unwrap(opener.wrap(data, PLACE, row), PLACE, row) == data


def test_the_bytes_are_what_the_format_says():
    name = hashlib.sha256(encryption.decode(OLD["public"])).digest()[:4]
    sealed, wrapped = sealer.seal(ADDRESS, PLACE), opener.wrap(ADDRESS, PLACE, "row")
    assert sealed[:5] == b"\x01" + name
    assert wrapped[:5] == b"\x02" + name
    assert len(sealed) == 5 + 32 + encryption.BLOCK_OCTETS + 16
    assert len(wrapped) == 5 + 12 + encryption.BLOCK_OCTETS + 16


def test_sealing_the_same_address_again_gives_other_bytes_throughout():
    for made in (
        [sealer.seal(ADDRESS, PLACE) for _ in range(2)],
        [opener.wrap(ADDRESS, PLACE, "row") for _ in range(2)],
    ):
        first, second = (each[encryption.HEAD_OCTETS :] for each in made)
        assert sum(a == b for a, b in zip(first, second, strict=True)) < len(first) / 8


def test_the_length_tells_no_address_from_another():
    short, long = b"a@b.co", b"x" * 64 + b"@" + b"y" * 185 + b".org"
    assert len(long) == 254
    assert len(sealer.seal(short, PLACE)) == len(sealer.seal(long, PLACE))
    assert len(opener.wrap(short, PLACE, "1")) == len(opener.wrap(long, PLACE, "1"))


def test_sealed_bytes_open_with_their_own_key_and_place_alone():
    """A foreign key under our key's name opens nothing either."""
    sealed = sealer.seal(ADDRESS, PLACE)
    with pytest.raises(DecryptionError):
        Opener((FOREIGN["private"],)).open(sealed, PLACE)
    for place in ("jobs.sealed2", "jobs.seale", "contact_messages.sealed", ""):
        with pytest.raises(DecryptionError):
            opener.open(sealed, place)
    forged = sealed[:5] + Sealer((FOREIGN["public"],)).seal(ADDRESS, PLACE)[5:]
    with pytest.raises(DecryptionError):
        opener.open(forged, PLACE)


def test_wrapped_bytes_do_not_open_in_another_row_or_column():
    wrapped = opener.wrap(ADDRESS, "subscriptions.wrapped_address", "row-1")
    assert opener.unwrap(wrapped, "subscriptions.wrapped_address", "row-1") == ADDRESS
    for place, row in (
        ("subscriptions.wrapped_address", "row-2"),
        ("subscriptions.wrapped_address", ""),
        ("subscriptions.wrapped_name", "row-1"),
        ("accounts.wrapped_address", "row-1"),
    ):
        with pytest.raises(DecryptionError):
            opener.unwrap(wrapped, place, row)


@pytest.mark.parametrize("kind", ["sealed", "wrapped"])
def test_no_changed_or_cut_bytes_open(kind):
    good = sealer.seal(ADDRESS, PLACE) if kind == "sealed" else opener.wrap(ADDRESS, PLACE, "1")

    def read(data: bytes) -> bytes:
        is_sealed = kind == "sealed"
        return opener.open(data, PLACE) if is_sealed else opener.unwrap(data, PLACE, "1")

    assert read(good) == ADDRESS
    for place in range(len(good)):
        bent = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        for odd in (bent, good[:place]):
            with pytest.raises(DecryptionError):
                read(odd)
    for odd in (good + b"\x00", b"\x00" + good, b"\x03" + good[1:], good[:1] + good):
        with pytest.raises(DecryptionError):
            read(odd)


def test_the_error_names_the_place_and_nothing_that_was_sealed():
    with pytest.raises(DecryptionError) as caught:
        opener.open(ADDRESS, PLACE)
    assert str(caught.value) == PLACE


def test_bytes_that_the_web_sealed_are_not_taken_for_bytes_that_the_worker_wrapped():
    """Else an intruder in the web could write a lead's account with an address of their own."""
    forged = sealer.seal(b"intruder@example.org", "accounts.wrapped_address")
    relabelled = b"\x02" + forged[1:]
    for row in ("", "row-1"):
        for data in (forged, relabelled):
            with pytest.raises(DecryptionError):
                opener.unwrap(data, "accounts.wrapped_address", row)
    with pytest.raises(DecryptionError):
        opener.open(opener.wrap(ADDRESS, PLACE, ""), PLACE)


def test_after_a_rotation_both_keys_open_and_the_newest_makes():
    rotated, newest = Opener((OLD["private"], NEW["private"])), Opener((NEW["private"],))
    before, after = sealer.seal(ADDRESS, PLACE), Sealer((OLD["public"], NEW["public"]))
    sealed = after.seal(ADDRESS, PLACE)
    assert rotated.open(before, PLACE) == rotated.open(sealed, PLACE) == ADDRESS
    assert newest.open(sealed, PLACE) == ADDRESS
    with pytest.raises(DecryptionError):
        opener.open(sealed, PLACE)
    kept, wrapped = (each.wrap(ADDRESS, PLACE, "1") for each in (opener, rotated))
    assert rotated.unwrap(kept, PLACE, "1") == rotated.unwrap(wrapped, PLACE, "1") == ADDRESS
    assert newest.unwrap(wrapped, PLACE, "1") == ADDRESS
    with pytest.raises(DecryptionError):
        opener.unwrap(wrapped, PLACE, "1")


def test_an_index_tells_groups_uses_addresses_and_keys_apart():
    index = BlindIndex((OLD["index"],))
    ada = "ada@dpsk12.org"
    names = [
        index.member("group-1", ada),
        index.member("group-2", ada),
        index.member("group-1", "bob@dpsk12.org"),
        index.suppressed(ada),
        index.limited("sign-in", ada),
        index.limited("sign-in-browser", ada),
        index.account(ada),
        BlindIndex((NEW["index"],)).member("group-1", ada),
    ]
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {16}
    assert index.member("group-1", ada) == BlindIndex((OLD["index"],)).member("group-1", ada)
    assert index.member("group", "1@x.org") != index.member("group1", "@x.org")
    assert index.limited("sign-in", "1@x.org") != index.limited("sign-in1", "@x.org")
    assert index.limited("join", "a", "b@x.org") != index.limited("join", "ab", "@x.org")
    assert index.barred("group-1", ada) != index.barred("group-2", ada)


def test_a_worker_without_its_keys_says_so():
    for private, index in (((), (OLD["index"],)), ((OLD["private"],), ())):
        with pytest.raises(KeysMissing):
            worker_keys(private, index)


def test_keys_that_are_made_stay_and_are_their_owners_alone(tmp_path):
    folder = tmp_path / "keys"
    made = encryption.load_or_create_keys(folder, encryption.KINDS)
    assert encryption.load_or_create_keys(folder, encryption.KINDS) == made
    assert [each.stat().st_mode & 0o077 for each in (folder, *folder.iterdir())] == [0] * 5


@pytest.mark.parametrize("data", [b"a\x80", b"a\x80" + b"b" * 254, b"\x80b" + bytes(254)])
def test_bytes_that_were_never_padded_are_refused(data):
    """Anyone with the public key may seal anything."""
    with pytest.raises(ValueError, match="not filled up"):
        encryption.unpad(data)
