"""Issues through a real Postfix and a real Exim, audited by the servers' own logs."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.ops.demo_data import add_members
from tests.factories import group_named, queue_issue
from tests.faults.audit import audit
from tests.faults.scene import IN_HAND
from tests.markers import night, on_sqlite
from tests.processes import drain, feed, run, running
from tests.relays.debian import why_not
from tests.relays.servers import Log, exim, postfix
from tests.servers.smtp import Server
from tests.waiting import wait_until

MEMBERS = 500
SOME = 40

pytestmark = [
    night("real mail servers"),
    on_sqlite,
    pytest.mark.skipif(bool(why_not()), reason=f"NOT TESTED: real mail servers; {why_not()}"),
]


def report(settings: Mapping[str, str], issue: str) -> dict[str, int]:
    said = run(settings, "newsletter", "report", issue, "--json").stdout
    return dict(json.loads(said))


def wait_for_log(log: Log, number: int) -> None:
    """A server writes of its queue a little later than it answers."""
    wait_until(lambda: len(log()) >= number)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [0, 3])
@pytest.mark.parametrize("is_pipelining", [True, False], ids=["pipelining", "slow"])
@pytest.mark.parametrize("server", [postfix, exim])
def test_an_issue_reaches_everybody_once_by_the_log_of_a_real_server(
    server, *, is_pipelining, kills, services, keyring, environment
):
    """With kills on the way: once, and once more where the books say so."""
    with services.writing.begin() as session:
        add_members(session, keyring, group_named(session, "the-village"), MEMBERS)
        issue = queue_issue(session).public_id
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with server(folder, is_pipelining=is_pipelining) as (port, log):
            url = f"smtp://127.0.0.1:{port}?tls=none"
            settings = {**environment, "BELONG_SMTP_URL": url, "BELONG_UNCERTAIN": "0"}
            for number in range(1, kills + 1):
                with running(settings, "worker", "--drain") as worker:
                    wait_for_log(log, number * MEMBERS // (kills + 1))
                    worker.kill()
                    worker.wait()
            drain(settings)
            books = report(settings, issue)
            wait_until(lambda: len({each.recipient for each in log()}) >= MEMBERS)
            wrong = audit(books, log(), MEMBERS, breaks=kills * IN_HAND)
    assert wrong == []
    assert books["accepted"] == MEMBERS


@pytest.mark.parametrize("server", [postfix, exim])
def test_a_copy_that_a_real_server_accepts_and_returns_has_bounced(
    server, services, keyring, environment
):
    """An address with a 7 before the @ is unknown to it, as it finds out later."""
    with services.writing.begin() as session:
        add_members(session, keyring, group_named(session, "the-village"), SOME)
        issue = queue_issue(session).public_id
    with TemporaryDirectory() as name, Server() as returned:
        folder = Path(name)
        folder.chmod(0o755)
        with server(folder, is_pipelining=True, back=returned.port) as (port, _):
            settings = {**environment, "BELONG_SMTP_URL": f"smtp://127.0.0.1:{port}?tls=none"}
            drain(settings)
            assert report(settings, issue)["accepted"] == SOME
            unknown = returned.wait_for(SOME // 10)
        for each in unknown:
            assert feed(settings, each.data, "inbound", each.recipient).returncode == 0
            told = parse_report(each.data)
            assert (told.kind, told.suppress) == (Kind.BOUNCE, True)
            assert told.recipients[0].endswith("7@example.org")
        drain(settings)
        books = report(settings, issue)
    assert (books["accepted"], books["bounced"]) == (SOME - SOME // 10, SOME // 10)
