"""Names: what stands in mail that was sent is read for ever."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from belong_mail.sending.names import NUMBER, Names

OLD, NEW = ("a" * 40, "b" * 100)


@given(st.integers(0, 256**NUMBER - 1))
def test_a_delivery_has_the_names_that_every_version_gave_it(delivery_id: int) -> None:
    number = delivery_id.to_bytes(NUMBER)
    tags = hmac.digest(NEW.encode(), b"belong/names/v1" + number, "sha256")
    return_path, message_id = Names((OLD, NEW), "example.org").of(delivery_id)
    assert return_path == f"b+{(number + tags[:10]).hex()}@example.org"
    assert message_id == f"<{tags[10:20].hex()}@example.org>"


def test_a_return_path_is_read_under_every_key_and_no_other() -> None:
    old = Names((OLD,), "example.org").return_path(7)
    assert Names((OLD, NEW), "example.org").read(old.upper()) == 7
    assert Names((NEW,), "example.org").read(old) is None
