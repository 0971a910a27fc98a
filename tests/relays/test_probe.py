"""`doctor --probe` from end to end: through a Postfix that signs, into a Dovecot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from belong_mail.monitoring.probe_report import COVERED
from tests.inbound.imap.inbox import Inbox
from tests.markers import night, on_sqlite
from tests.processes import run
from tests.relays.debian import why_not
from tests.relays.signing import DOMAIN, Habits, signing_relay
from tests.servers.dns import DnsServer
from tests.servers.dovecot import Dovecot, dovecot, needs_dovecot

pytestmark = [
    night("real mail servers"),
    on_sqlite,
    needs_dovecot,
    pytest.mark.skipif(bool(why_not()), reason=f"NOT TESTED: a relay that signs; {why_not()}"),
    pytest.mark.timeout(180),
]
WAIT = "60"
Told = tuple[int, list[str], list[str]]


@pytest.fixture(scope="module")
def imap() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture
def inbox(imap: Dovecot, tmp_path: Path) -> Inbox:
    return Inbox(imap, f"{tmp_path.name}@{DOMAIN}")


def probe(environment: dict[str, str], inbox: Inbox, habits: Habits, wait: str = WAIT) -> Told:
    """Ask the doctor; return the exit status, what is well, and what is wrong."""
    with (
        signing_relay(inbox.imap, inbox.user, habits) as port,
        DnsServer(habits.records) as names,
    ):
        settings = environment | {
            "BELONG_SMTP_URL": f"smtp://127.0.0.1:{port}?tls=none",
            "BELONG_MAIL_DOMAIN": DOMAIN,
            "BELONG_INBOUND_URL": inbox.imap.url(inbox.user),
        }
        assert run(settings, "worker", "--drain").returncode == 0
        ended = run(settings, "doctor", "--probe", "--wait", wait, "--dns", names.address)
    assert "Traceback" not in ended.stderr
    lines = [line.partition("\t") for line in ended.stdout.splitlines()]
    well = [words for mark, _, words in lines if mark == "ok"]
    return ended.returncode, well, [words for mark, _, words in lines if mark == "WRONG"]


def test_all_is_well_where_the_relay_signs_and_changes_nothing(environment, inbox, services):
    assert services
    code, well, wrong = probe(environment, inbox, Habits())
    assert (code, wrong) == (0, [])
    said = "\n".join(well)
    for words in (
        "The probe arrived after",
        "DKIM: relay.example.org says pass.",
        "DKIM: signed for example.org, which aligns with From.",
        f"DKIM: the signature covers {', '.join(COVERED)}.",
        "The return path came back unchanged.",
        "SPF: relay.example.org says pass.",
        "DMARC: relay.example.org says pass.",
    ):
        assert words in said
    assert inbox.counts() == (0, 0)


@pytest.mark.parametrize(
    ("habits", "sentence"),
    [
        (Habits(is_signing=False), "DKIM: it arrived unsigned."),
        (
            Habits(
                signs_for="relay.example.net",
                verdict="relay.example.org; dkim=pass header.d=relay.example.net; dmarc=fail",
            ),
            "DKIM: signed for relay.example.net, which does not align with From (example.org).",
        ),
        (
            Habits(covered="from,to,subject,date,message-id,list-id,list-unsubscribe"),
            "DKIM: the signature leaves out List-Unsubscribe-Post. Without it",
        ),
        (
            Habits(is_rewriting=True),
            "The relay rewrote the return path; reports now go to relay.example.org.",
        ),
        (Habits(verdict=""), "The server that received it says nothing of DKIM and DMARC"),
    ],
    ids=["unsigned", "not aligned", "a field uncovered", "return path rewritten", "no verdict"],
)
def test_what_a_relay_does_wrong_is_said(habits, sentence, environment, inbox, services):
    assert services
    code, _, wrong = probe(environment, inbox, habits)
    assert code == 1
    assert any(words.startswith(sentence) for words in wrong), wrong
    assert inbox.counts() == (0, 0)


def test_what_does_not_arrive_is_waited_for_and_said(environment, inbox, services):
    assert services
    code, _, wrong = probe(environment, inbox, Habits(is_delivering=False), wait="2")
    assert code == 1
    assert len(wrong) == 1
    assert wrong[0].startswith("The relay took the probe, and nothing arrived within")
