"""Names: what stands in mail that was sent is read for ever."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.core.db import new_public_id
from belong_mail.delivery.return_paths import ID_OCTETS, VerpAddresses, message_names

OLD, NEW = ("a" * 40, "b" * 100)
WORKERS, ANOTHER = (b"w" * 32, b"x" * 32)
ADA, BEN = "ada@dpsk12.org", "ben@dpsk12.org"
IDS = st.integers(0, 256**ID_OCTETS - 1)


def block(key, use, content):
    """Encrypt one block of AES under a key that is derived for a use."""
    derived = HKDF(SHA256(), 32, salt=None, info=b"belong-mail/v1/" + use).derive(key)
    cipher = Cipher(algorithms.AES(derived), modes.ECB())  # noqa: S305 - one block alone
    return cipher.encryptor().update(content).hex()


@given(IDS)
def test_a_delivery_has_the_names_that_every_version_gave_it(delivery_id):
    number = delivery_id.to_bytes(ID_OCTETS)
    return_path = VerpAddresses((OLD, NEW), "example.org").return_path(delivery_id)
    made = block(NEW.encode(), b"return-path", number + bytes(10))
    assert return_path == f"b+{made}@example.org"
    workers = VerpAddresses((OLD, NEW), "example.org", WORKERS)
    assert workers.return_path(delivery_id) == return_path


@given(IDS)
def test_a_message_id_is_read_and_made_by_the_workers_key_alone(delivery_id):
    """The secret keys alone, as the web has them, make none and read none."""
    names = VerpAddresses((OLD, NEW), "example.org", WORKERS)
    message_id = names.message_id(delivery_id, ADA)
    named = hashlib.blake2b(ADA.encode(), digest_size=10).digest()
    made = block(WORKERS, b"message-id", delivery_id.to_bytes(ID_OCTETS) + named)
    assert message_id == f"<b.{made}@example.org>"
    [name] = message_names(f"References: <a@b> {message_id.upper()}")
    assert names.read_message_id(name, ADA) == delivery_id
    assert VerpAddresses((NEW,), "example.net", WORKERS).read_message_id(name, ADA) == delivery_id
    assert VerpAddresses((OLD, NEW), "example.org", ANOTHER).read_message_id(name, ADA) is None
    keyless = VerpAddresses((OLD, NEW), "example.org")
    assert keyless.read_message_id(name, ADA) is None
    with pytest.raises(ValueError, match="Only the worker"):
        keyless.message_id(delivery_id, ADA)


@given(IDS, st.text(max_size=40))
def test_a_message_id_is_read_only_with_the_address_it_was_made_for(delivery_id, guess):
    names = VerpAddresses((NEW,), "example.org", WORKERS)
    [name] = message_names(names.message_id(delivery_id, ADA))
    for other in (guess, BEN, "", ADA.upper()):
        assert names.read_message_id(name, other) == (delivery_id if other == ADA else None)


def test_return_path_and_message_id_are_not_confused_and_an_altered_id_is_not_ours():
    names = VerpAddresses((NEW,), "example.org", WORKERS)
    return_path, message_id = names.return_path(7), names.message_id(7, ADA)
    assert names.read(message_id.strip("<>")) is None
    assert message_names(return_path.removeprefix("b+")) == []
    for place in range(3, 35):
        bent = "0" if message_id[place] != "0" else "1"
        [name] = message_names(message_id[:place] + bent + message_id[place + 1 :])
        assert names.read_message_id(name, ADA) is None


def test_the_message_ids_of_one_issue_do_not_show_that_they_are_neighbours():
    names = VerpAddresses((NEW,), "example.org", WORKERS)
    made = [names.message_id(number, ADA)[3:35] for number in range(1, 200)]
    assert all(len({each[place] for each in made}) == 16 for place in range(32))


def test_an_address_is_read_under_every_current_key_and_only_as_its_own_kind():
    was, both, now = (VerpAddresses(keys, "example.org") for keys in ((OLD,), (OLD, NEW), (NEW,)))
    member = new_public_id()
    path, leave = was.return_path(7), was.leave_address(member)
    assert (both.read(path.upper()), both.read_leave_address(leave.upper())) == (7, member)
    assert (now.read(path), now.read_leave_address(leave)) == (None, None)
    assert now.read_leave_address(both.leave_address(member)) == member
    assert (was.read(leave), was.read_leave_address(path)) == (None, None)
