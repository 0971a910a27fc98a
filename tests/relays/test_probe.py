"""`doctor --probe` from end to end: through a Postfix that signs, into a Dovecot."""

from collections.abc import Iterator

import pytest

from belong_mail.monitoring.probe import COVERED
from tests.markers import night, on_sqlite
from tests.monitoring.looking import doctor
from tests.processes import run
from tests.relays.debian import why_not
from tests.relays.signing import DOMAIN, RECORDS, signing_relay
from tests.servers.dns import DnsServer
from tests.servers.dovecot import Dovecot, Inbox, dovecot, needs_dovecot

pytestmark = [
    night("real mail servers"),
    on_sqlite,
    needs_dovecot,
    pytest.mark.skipif(bool(why_not()), reason=f"NOT TESTED: a relay that signs; {why_not()}"),
    pytest.mark.timeout(180),
]
Settings = dict[str, str]
Told = tuple[int, list[str], list[str]]


@pytest.fixture(scope="module")
def imap() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture
def inbox(imap, tmp_path) -> Inbox:
    return Inbox(imap, f"{tmp_path.name}@{DOMAIN}")


def probe(environment, inbox, wait: str = "60", **habits: bool) -> Told:
    """Ask the doctor; return the exit status, what is well, and what is wrong."""
    with (
        signing_relay(inbox, **habits) as port,
        DnsServer(RECORDS) as names,
    ):
        settings = environment | {
            "BELONG_SMTP_URL": f"smtp://127.0.0.1:{port}?tls=none",
            "BELONG_MAIL_DOMAIN": DOMAIN,
            "BELONG_INBOUND_URL": inbox.url(),
        }
        assert run(settings, "worker", "--drain").returncode == 0
        return doctor(settings, "--probe", "--wait", wait, "--dns", names.address)


def test_all_is_well_where_the_relay_signs_and_changes_nothing(environment, inbox, services):
    code, well, wrong = probe(environment, inbox)
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


def test_a_probe_that_does_not_arrive_is_waited_for_and_reported(environment, inbox, services):
    code, _, wrong = probe(environment, inbox, wait="2", is_delivering=False)
    assert code == 1
    assert len(wrong) == 1
    assert wrong[0].startswith("The relay took the probe, and nothing arrived within")
