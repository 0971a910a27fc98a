"""What `doctor` says of an email that came back, and of one that cannot."""

from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.monitoring import probe
from belong_mail.monitoring.probe_report import COVERED
from belong_mail.worker.loop import Worker
from tests.delivery.factories import queue
from tests.markers import on_sqlite
from tests.processes import run
from tests.relays.signing import DOMAIN, Habits
from tests.servers.dns import DnsServer
from tests.servers.smtp import Server
from tests.smtp_raw import header_lines

pytestmark = on_sqlite
Settings = dict[str, str]
Told = tuple[int, list[str], list[str]]
RECEIVED = b"Received: from relay.example.org (relay [127.0.0.1]) by mx.example.org; x\r\n"


def told(settings: Settings, *options: str) -> Told:
    """Ask the doctor; return the exit status, what is well, and what is wrong."""
    ended = run(settings, "doctor", *options)
    assert "Traceback" not in ended.stderr
    lines = [line.partition("\t") for line in ended.stdout.splitlines()]
    well = [words for mark, _, words in lines if mark == "ok"]
    return ended.returncode, well, [words for mark, _, words in lines if mark == "WRONG"]


@pytest.fixture
def newsletter(relay: Server, worker: Worker, services: Services, keyring: Keyring) -> bytes:
    """A copy of a newsletter as a relay got it, below its Return-Path."""
    queue(services, keyring, 1)
    worker.drain()
    [copy] = relay.accepted
    return f"Return-Path: <{copy.return_path}>\r\n".encode() + copy.data


def signed(raw: bytes, habits: Habits) -> bytes:
    pem = habits.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    names = [name.encode() for name in COVERED]
    domain = habits.signs_for.encode()
    canonical = (b"relaxed", b"relaxed")
    return bytes(
        dkim.sign(raw, b"belong", domain, pem, include_headers=names, canonicalize=canonical) + raw
    )


def judged(environment: Settings, tmp_path: Path, raw: bytes, habits: Habits) -> Told:
    file = tmp_path / "newsletter.eml"
    file.write_bytes(raw)
    with DnsServer(habits.records) as names:
        settings = {**environment, "BELONG_MAIL_DOMAIN": DOMAIN}
        return told(settings, "--probe-file", str(file), "--dns", names.address)


def test_a_newsletter_that_was_saved_is_judged_like_a_probe(
    environment: Settings, tmp_path: Path, newsletter: bytes
) -> None:
    habits = Habits()
    code, well, wrong = judged(environment, tmp_path, RECEIVED + signed(newsletter, habits), habits)
    assert (code, wrong) == (0, [])
    assert "The return path came back unchanged." in well
    assert any("it verifies, and aligns with From" in words for words in well)


def test_what_a_receiver_says_and_what_was_changed_on_the_way_is_told(
    environment: Settings, tmp_path: Path, newsletter: bytes
) -> None:
    habits = Habits()
    raw = signed(newsletter, habits).replace(b"Return-Path: <b+", b"Return-Path: <b+0")
    results = b"Authentication-Results: mx.example.org; spf=fail; dmarc=fail\r\n"
    raw = results + RECEIVED.replace(b"127.0.0.1", b"8.8.8.8") + raw.replace(b"OK", b"ok") + b"x"
    code, _, wrong = judged(environment, tmp_path, raw, habits)
    assert code == 1
    said = "\n".join(wrong)
    for words in (
        "DKIM: the signature of example.org does not verify",
        "The relay rewrote the return path; reports now go to example.org.",
        "SPF: the receiver says fail.",
        "SPF: fail for example.org and 8.8.8.8",
        "DMARC: the receiver says fail.",
        "DMARC: fail, for neither SPF nor DKIM passes and aligns; the policy of example.org is",
        "PTR: 8.8.8.8 has no name.",
    ):
        assert words in said


def test_a_private_address_proves_nothing_and_a_second_signature_may_be_broken(
    environment: Settings, tmp_path: Path, newsletter: bytes
) -> None:
    habits = Habits()
    broken = b"DKIM-Signature: v=1; a=rsa-sha256; d=list.example; s=x; h=from; bh=AA; b=AA\r\n"
    private = RECEIVED.replace(b"127.0.0.1", b"10.0.0.2")
    raw = private + broken + signed(newsletter, habits)
    code, well, wrong = judged(environment, tmp_path, raw, habits)
    assert (code, wrong) == (0, [])
    for words in (
        "DKIM: the signature of list.example does not verify",
        "SPF: not evaluated here, for 10.0.0.2 is a private address.",
        "PTR: not checked, for 10.0.0.2 is a private address.",
    ):
        assert any(words in said for said in well)


def test_without_a_mailbox_the_doctor_says_what_it_could_not_check(
    environment: Settings, relay: Server, services: Services
) -> None:
    assert services
    with DnsServer(Habits().records) as names:
        code, _, wrong = told(environment, "--probe", "--dns", names.address)
    assert code == 1
    assert any("BELONG_INBOUND_URL is not set, so what arrives cannot be read" in w for w in wrong)
    assert relay.accepted == []


def test_dns_that_does_not_answer_is_no_verdict(
    environment: Settings, tmp_path: Path, newsletter: bytes
) -> None:
    file = tmp_path / "newsletter.eml"
    file.write_bytes(newsletter)
    with DnsServer({}) as names:
        names.is_silent = True
        code, well, wrong = told(environment, "--probe-file", str(file), "--dns", names.address)
    assert code == 1
    assert any("DNS does not answer from here" in words for words in wrong)
    assert any("its records were not checked" in words for words in well)


def test_a_probe_has_the_headers_of_a_newsletter_and_is_no_delivery(
    services: Services, newsletter: bytes
) -> None:
    written = probe.write_probe(services)
    own = [name for name, _ in header_lines(written.envelope.message)]
    assert own == [name for name, _ in header_lines(newsletter) if name != "Return-Path"]
    names = VerpAddresses(services.settings.secret_keys, services.settings.mail_domain)
    number = names.read(written.envelope.return_path)
    assert number is not None
    with services.reading.begin() as session:
        assert session.get(Delivery, number) is None
    assert parse_report(written.envelope.message).kind is Kind.OTHER


def test_a_copy_on_hold_sends_no_probe(
    environment: Settings, relay: Server, services: Services
) -> None:
    assert services
    assert run(environment, "hold", "begin").returncode == 0
    mailbox = {"BELONG_INBOUND_URL": "imaps://b:secret@127.0.0.1:1/INBOX"}
    _, _, wrong = told(environment | mailbox, "--probe", "--dns", "127.0.0.1:1")
    assert any(words.startswith("No probe was sent: sending is on hold.") for words in wrong)
    assert relay.accepted == []


def test_a_relay_that_refuses_the_probe_is_said(
    environment: Settings, relay: Server, services: Services
) -> None:
    assert services
    relay.always("RCPT", "550 5.7.1 Not through me")
    mailbox = {"BELONG_INBOUND_URL": "imaps://b:secret@127.0.0.1:1/INBOX"}
    with DnsServer(Habits().records) as names:
        _, _, wrong = told(environment | mailbox, "--probe", "--dns", names.address)
        assert "The relay refused the probe, at RCPT (550)." in wrong
        relay.usual()
        _, _, wrong = told(environment | mailbox, "--probe", "--dns", names.address)
    assert any("The probe left, but the mailbox cannot be used, at CONNECT." in w for w in wrong)
    assert relay.faults == []
