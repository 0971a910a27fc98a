"""Names: what stands in mail that was sent is read for ever."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from belong_mail.delivery.return_paths import ID_OCTETS, VerpAddresses

OLD, NEW = ("a" * 40, "b" * 100)


@given(st.integers(0, 256**ID_OCTETS - 1))
def test_a_delivery_has_the_names_that_every_version_gave_it(delivery_id: int) -> None:
    number = delivery_id.to_bytes(ID_OCTETS)
    tags = hmac.digest(NEW.encode(), b"belong/names/v1" + number, "sha256")
    return_path, message_id = VerpAddresses((OLD, NEW), "example.org").of(delivery_id)
    assert return_path == f"b+{(number + tags[:10]).hex()}@example.org"
    assert message_id == f"<{tags[10:20].hex()}@example.org>"


def test_a_return_path_is_read_under_every_key_and_no_other() -> None:
    old = VerpAddresses((OLD,), "example.org").return_path(7)
    assert VerpAddresses((OLD, NEW), "example.org").read(old.upper()) == 7
    assert VerpAddresses((NEW,), "example.org").read(old) is None
