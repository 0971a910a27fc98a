"""The doctor's sentences about an email that came back, and about one that cannot."""

import pytest

from belong_mail.delivery.models import Delivery
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.monitoring import probe
from belong_mail.monitoring.probe import COVERED
from tests.delivery.factories import queue
from tests.markers import on_sqlite
from tests.monitoring.looking import doctor as told
from tests.processes import run
from tests.relays.signing import RECORDS
from tests.servers.dns import DnsServer
from tests.smtp_raw import header_lines

pytestmark = [on_sqlite, pytest.mark.usefixtures("services")]
RECEIVED = "Received: from relay.example.org (relay [127.0.0.1]) by mx.example.com; x\r\n"
SIGNATURE = (
    "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=belong; bh=AA; b=AA;\r\n"
    " h=from:to:subject:date:message-id:list-id:list-unsubscribe:list-unsubscribe-post\r\n"
)
OTHERS = "DKIM-Signature: v=1; a=rsa-sha256; d=relay.example.net; s=x; h=from; bh=AA; b=AA\r\n"
PASSED = "dkim=pass header.d=example.org; spf=pass; dmarc=pass"


@pytest.fixture
def newsletter(relay, worker, services) -> bytes:
    """A copy of a newsletter as a relay got it, below its Return-Path."""
    queue(services, 1)
    worker.drain()
    [copy] = relay.accepted
    return f"Return-Path: <{copy.return_path}>\r\n".encode() + copy.data


def arrived(newsletter, verdict: str = PASSED, signature: str = SIGNATURE) -> bytes:
    """Return a newsletter as a server took it in that says this of it."""
    said = f"Authentication-Results: mx.example.com; {verdict}\r\n" if verdict else ""
    return f"{RECEIVED}{said}{signature}".encode() + newsletter


def judged(services, raw: bytes) -> tuple[set[str], list[str]]:
    """Return what is well, and what is wrong."""
    findings = list(probe.judge(services.settings, raw))
    well = {each.words for each in findings if not each.is_wrong}
    return well, [each.words for each in findings if each.is_wrong]


def test_a_newsletter_that_was_saved_is_judged_like_a_probe(services, newsletter):
    """A second signature, as of the relay, may be broken."""
    other = OTHERS + SIGNATURE.replace("d=example.org", "d=news.example.org")
    mixed = "dkim=fail header.d=relay.example.net; dkim=pass header.i=@news.example.org; dmarc=pass"
    well, wrong = judged(services, arrived(newsletter, mixed, other))
    assert wrong == []
    assert "DKIM: signed for news.example.org, which aligns with From." in well
    well, wrong = judged(services, arrived(newsletter))
    assert wrong == []
    assert {
        "DKIM: mx.example.com says pass.",
        "DKIM: signed for example.org, which aligns with From.",
        f"DKIM: the signature covers {', '.join(COVERED)}.",
        "The return path came back unchanged.",
        "SPF: mx.example.com says pass.",
        "DMARC: mx.example.com says pass.",
    } <= well


def test_a_receivers_verdicts_and_changes_on_the_way_are_reported(services, newsletter):
    newsletter = newsletter.replace(b"Return-Path: <b+", b"Return-Path: <b+0")
    raw = arrived(newsletter, "dkim=fail; spf=fail; dmarc=fail", SIGNATURE.replace("h=", "l=9; h="))
    said = "\n".join(judged(services, raw)[1])
    for words in (
        "DKIM: mx.example.com says fail. Is the key in DNS at belong._domainkey.example.org the",
        "If it is, something after the signer changes the email, such as a footer.",
        "DKIM: the signature has l=",
        "The relay rewrote the return path; reports now go to example.org.",
        "SPF: mx.example.com says fail. Let the SPF record of the return path’s domain name",
        "DMARC: mx.example.com says fail. It passes when the signature, or SPF, passes",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("verdict", "signature", "sentence"),
    [
        ("", SIGNATURE, "The server that received it says nothing of DKIM and DMARC"),
        ("spf=pass", SIGNATURE, "The server that received it says nothing of DKIM and DMARC"),
        ("dkim=none; dmarc=fail", "", "DKIM: it arrived unsigned."),
        (
            "dkim=pass header.d=relay.example.net; dmarc=fail", OTHERS + SIGNATURE,
            "DKIM: signed for relay.example.net, which does not align with From (example.org).",
        ),
        (
            "dkim=pass header.d=anexample.org; dmarc=fail", SIGNATURE.replace("d=ex", "d=anex"),
            "DKIM: signed for anexample.org, which does not align with From (example.org).",
        ),
        (
            PASSED, SIGNATURE.replace(":list-unsubscribe-post", ""),
            "DKIM: the signature leaves out List-Unsubscribe-Post. Without it inboxes show no",
        ),
    ],
    ids=["no verdict", "a verdict of neither", "unsigned", "another's", "ends alike", "uncovered"],
)  # fmt: skip
def test_each_fault_of_a_signature_is_said(verdict, signature, sentence, services, newsletter):
    _, wrong = judged(services, arrived(newsletter, verdict, signature))
    assert any(words.startswith(sentence) for words in wrong), wrong


def test_a_verdict_from_the_way_is_not_believed(services, newsletter):
    forged = f"Authentication-Results: relay.example.org; {PASSED}\r\n".encode()
    _, wrong = judged(services, arrived(forged + newsletter, ""))
    assert any(words.startswith("The server that received it says nothing") for words in wrong)


def test_without_a_mailbox_the_doctor_says_what_it_could_not_check(environment, relay):
    with DnsServer(RECORDS) as names:
        code, _, wrong = told(environment, "--probe", "--dns", names.address)
    assert code == 1
    assert any("BELONG_INBOUND_URL is not set, so what arrives cannot be read" in w for w in wrong)
    assert relay.accepted == []


def test_dns_that_does_not_answer_leaves_the_rest_to_be_said(environment, tmp_path, newsletter):
    file = tmp_path / "newsletter.eml"
    file.write_bytes(arrived(newsletter, "dmarc=fail"))
    with DnsServer({}) as names:
        names.is_silent = True
        code, well, wrong = told(environment, "--probe-file", str(file), "--dns", names.address)
    assert any("its records were not checked" in words for words in well)
    assert [code, *(each.partition(" It ")[0] for each in wrong)] == [
        1,
        "DMARC: mx.example.com says fail.",
    ]


def test_a_probe_has_the_headers_of_a_newsletter_and_is_no_delivery(services, newsletter):
    sent = probe.write_probe(services)
    own = [name for name, _ in header_lines(sent.message)]
    assert own == [name for name, _ in header_lines(newsletter) if name != "Return-Path"]
    names = VerpAddresses(services.settings.secret_keys, services.settings.mail_domain)
    number = names.read(sent.return_path)
    assert number is not None
    with services.reading.begin() as session:
        assert session.get(Delivery, number) is None
    assert parse_report(sent.message).kind is Kind.OTHER


def test_a_copy_on_hold_sends_no_probe(environment, relay):
    assert run(environment, "hold", "begin").returncode == 0
    mailbox = {"BELONG_INBOUND_URL": "imaps://b:secret@127.0.0.1:1/INBOX"}
    _, _, wrong = told(environment | mailbox, "--probe", "--dns", "127.0.0.1:1")
    assert any(words.startswith("No probe was sent: sending is on hold.") for words in wrong)
    assert relay.accepted == []


def test_a_relay_that_refuses_the_probe_is_said(environment, relay):
    relay.always("RCPT", "550 5.7.1 Not through me")
    mailbox = {"BELONG_INBOUND_URL": "imaps://b:secret@127.0.0.1:1/INBOX"}
    with DnsServer(RECORDS) as names:
        _, _, wrong = told(environment | mailbox, "--probe", "--dns", names.address)
        assert "The relay refused the probe, at RCPT (550)." in wrong
        relay.usual()
        _, _, wrong = told(environment | mailbox, "--probe", "--dns", names.address)
    assert any("the mailbox cannot be used, at CONNECT. Are its host" in words for words in wrong)
    assert relay.faults == []
