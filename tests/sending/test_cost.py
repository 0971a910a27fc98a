"""What sending costs the database and the templates, however many the recipients."""

import time

from sqlalchemy import event

from belong_mail.parts import Parts
from belong_mail.sending.engine import PATIENCE
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.counting import counted
from tests.sending.factories import books, queue

MEMBERS = 1000
BATCH = 50
"""Results that share a commit, at least."""
ASIDE = 10
"""Commits for what is done once: requests, leases, the last results."""


def test_many_results_share_a_commit_and_nothing_is_rendered_for_one_recipient(
    worker: Worker, parts: Parts, keyring: Keyring
) -> None:
    """Fewer share one only where it would be long to wait for more."""
    issue = queue(parts, keyring, MEMBERS)
    commits: list[object] = []
    event.listen(parts.writing.kw["bind"], "commit", commits.append)
    began = time.monotonic()
    with counted() as counts:
        worker.drain()
    waits = (time.monotonic() - began) / PATIENCE
    assert books(parts, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert len(commits) <= MEMBERS // BATCH + waits + ASIDE
    assert counts["render"] == 2, "one for each language"
