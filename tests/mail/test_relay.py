"""The relay's URL: read, or refused in words that hold no password."""

import pytest

from belong_mail.mail.hosts import InvalidSetting
from belong_mail.mail.smtp.transport import parse_relay

EHLO = "belong.example.org"


def test_a_relay_is_read_from_its_url():
    relay = parse_relay(
        "smtp://us%40er:p%3A%2F%40ss@relay.example.org:2587?connections=9&pipelining=off&ca=/ca.pem"
        "&timeout=2.5&dot_timeout=7",
        ehlo=EHLO,
    )
    assert (relay.scheme, relay.host, relay.port) == ("smtp", "relay.example.org", 2587)
    assert (relay.username, relay.password) == ("us@er", "p:/@ss")
    assert (relay.tls, relay.ca, relay.ehlo) == ("starttls", "/ca.pem", EHLO)
    assert (relay.connections, relay.pipelining) == (9, False)
    assert (relay.timeout, relay.dot_timeout) == (2.5, 7)
    assert "p:/@ss" not in repr(relay)


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://relay.example.org", 587, "starttls"),
        ("smtp://relay.example.org?tls=starttls", 587, "starttls"),
        ("smtps://relay.example.org", 465, "implicit"),
        ("lmtp://relay.example.org", 24, "starttls"),
        ("smtp://127.0.0.1:2525?tls=none", 2525, "none"),
        ("smtp://localhost?tls=none", 587, "none"),
        ("smtp://[::1]:25?tls=none", 25, "none"),
        ("lmtp://127.0.0.9:24/?tls=none", 24, "none"),
    ],
)
def test_each_scheme_has_its_port_and_its_tls(url, port, tls):
    relay = parse_relay(url, ehlo=EHLO)
    assert (relay.port, relay.tls) == (port, tls)
    assert (relay.timeout, relay.dot_timeout) == (300, 600)
    assert (relay.connections, relay.pipelining, relay.username) == (5, True, "")


@pytest.mark.parametrize(
    "url",
    [
        "", "relay.example.org", "http://relay.example.org", "mailbox:", "smtp://", "smtp://:25",
        "smtp://user:secret@", "smtp://user@relay.example.org", "smtp://:secret@relay.example.org",
        "smtp://user:sec/ret@relay.example.org", "smtp://user:sec#ret@relay.example.org",
        "smtp://user:sec?ret@relay.example.org", "smtp://user:secr%C3%A9t@relay.example.org",
        "smtp://user:secret%0D%0A@relay.example.org", "smtp://user:secret%00@relay.example.org",
        "smtp://user:secret@relay.example.org:port", "smtp://user:secret@relay.example.org:99999",
        "smtp://user:secret@relay.example.org/path",
        "smtp://user:secret@relay.example.org?conections=5",
        "smtp://user:secret@relay.example.org?connections=0",
        "smtp://user:secret@relay.example.org?connections=many",
        "smtp://user:secret@relay.example.org?connections=5&connections=6",
        "smtp://user:secret@relay.example.org?pipelining=maybe",
        "smtp://user:secret@relay.example.org?timeout=-1",
        "smtp://user:secret@relay.example.org?timeout=nan",
        "smtp://user:secret@relay.example.org?dot_timeout=inf",
        "smtp://user:secret@relay.example.org?tls=maybe",
        "smtp://user:secret@relay.example.org?tls=implicit",
        "smtps://user:secret@relay.example.org?tls=none",
        "smtps://user:secret@127.0.0.1?tls=starttls", "smtp://relay.example.org?tls=none",
        "smtp://127.0.0.1.example.org?tls=none", "smtp://10.0.0.1?tls=none",
        "smtp://localhost.example.org?tls=none",
        "lmtp://relay.example.org?tls=none", "smtp://user:secret@127.0.0.1?tls=none",
        "smtp://[::1?tls=none", "smtp://relay\r\n.example.org",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_without_the_password(url):
    with pytest.raises(InvalidSetting) as refusal:
        parse_relay(url, ehlo=EHLO)
    assert str(refusal.value).endswith(".")
    assert "sec" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize("name", ["", "a b", "x\r\nMAIL", "-x", "ü.example.org"])
def test_the_name_for_ehlo_is_a_host_name(name):
    with pytest.raises(InvalidSetting):
        parse_relay("smtp://relay.example.org", ehlo=name)
