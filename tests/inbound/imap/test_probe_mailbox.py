"""The probe in the mailbox for bounces: found by its mark, removed alone, harmless to a worker."""

import re

from belong_mail.core.environment import ROOT
from belong_mail.mail.imap.location import READ_FOLDER, parse_mailbox
from belong_mail.monitoring import probe
from tests.inbound.scenario import jobs_of, poll
from tests.markers import on_sqlite
from tests.servers.dovecot import needs_dovecot

pytestmark = [needs_dovecot, on_sqlite]
OTHER = b"Subject: Something else\r\n\r\nHello\r\n"


def test_the_probe_is_taken_out_alone_wherever_it_lies(inbox, services):
    location = parse_mailbox(inbox.url(), ROOT)
    (mark, *_, message), another = probe.write_probe(services), probe.write_probe(services)
    report = f"Subject: Undeliverable: Belong Mail probe {mark}\r\n\r\nSorry\r\n".encode()
    inbox.put(OTHER, report, message, another.message)
    assert probe.fetch(location, mark, 0) == message
    assert inbox.counts() == (3, 0)
    with inbox.client() as client:
        client.create(f'"{READ_FOLDER}"')
    inbox.put(message, OTHER, folder=f'"{READ_FOLDER}"')
    assert probe.fetch(location, mark, 0) == message
    assert inbox.counts() == (3, 1)
    assert probe.fetch(location, mark, 0) is None


def test_a_worker_that_reads_the_probe_first_does_nothing_with_it(inbox, services, worker):
    mark, _, recipient, message = probe.write_probe(services)
    assert re.fullmatch(r"b\+[0-9a-f]{32}@.+", recipient)
    inbox.put(f"Delivered-To: {recipient}\r\n".encode() + message)
    poll(worker)
    with services.reading.begin() as session:
        assert jobs_of(session) == 0
    location = parse_mailbox(inbox.url(), ROOT)
    found = probe.fetch(location, mark, 0)
    assert found is not None
    assert found.endswith(message)
    assert inbox.counts() == (0, 0)
