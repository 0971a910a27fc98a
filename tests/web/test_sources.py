"""Where requests come from, as the limits see it."""

import pytest

from belong_mail.core.rate_limits import ALL_FORMS, Limit
from tests.browser_client import Form

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
def test_a_source_is_an_address_or_a_subscribers_network(visitor, services, one, other, is_same):
    typed = Form(visitor.open("/contact").text).fields | {
        "message": "Hello.",
        "topic": "need",
        "email": ADA,
    }
    for address in (one, other):
        answer = visitor.client.post(
            "/contact", data=typed, environ_overrides={"REMOTE_ADDR": address}
        )
        assert answer.status_code == 303
    with services.reading.begin() as session:
        sources = session.query(Limit).where(Limit.key != ALL_FORMS).count()
        assert sources == (1 if is_same else 2)
