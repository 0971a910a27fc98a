"""Where requests come from, as the limits see it."""

import pytest

from belong_mail.limits import Limit
from belong_mail.parts import Parts
from tests.people import Form, Visitor

ADA = "ada@example.org"


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unknown", "203.0.113.7:4711", True),
    ],
)
def test_a_source_is_an_address_or_a_subscribers_network(
    visitor: Visitor, parts: Parts, one: str, other: str, is_same: object
) -> None:
    typed = Form(visitor.open("/contact").text).fields | {"message": "Hello.", "email": ADA}
    for address in (one, other):
        answer = visitor.client.post(
            "/contact", data=typed, environ_overrides={"REMOTE_ADDR": address}
        )
        assert answer.status_code == 303
    with parts.reading.begin() as session:
        assert session.query(Limit).count() == (1 if is_same else 2)
