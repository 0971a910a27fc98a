"""The cost of sending for the database and the templates, however many the recipients."""

import time

import pytest
from sqlalchemy import event

from belong_mail.delivery.engine import RESULT_WAIT_SECONDS
from tests.counting import counted, statements_of
from tests.delivery.factories import books
from tests.factories import make_members, queue_issue
from tests.markers import on_both, periodic_tasks

pytestmark = on_both("statements and commits are counted")

MEMBERS = 1000
# Results that share a commit, at least.
BATCH = 50
# Commits for what is done once: requests, leases, the last results.
ASIDE = 10


def test_many_results_share_a_commit_and_nothing_is_rendered_for_one_recipient(
    worker, services, keyring
):
    """Fewer share one only where it would be long to wait for more."""
    with services.writing.begin() as session:
        make_members(session, keyring, MEMBERS)
        issue = queue_issue(session).id
    commits: list[object] = []
    event.listen(services.writing.kw["bind"], "commit", commits.append)
    began = time.monotonic()
    with counted() as counts:
        worker.drain()
    waits = (time.monotonic() - began) / RESULT_WAIT_SECONDS
    assert books(services, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert len(commits) <= MEMBERS // BATCH + waits + ASIDE
    assert counts["render"] == 2, "one for each language"


@periodic_tasks
@pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": "operator@example.org"}])
def test_a_first_turn_asks_the_database_little(worker, services):
    """Looks at the keys, does what is done each minute, measures what the operator is told of."""
    with statements_of(services.engine) as seen:
        worker._turn()
    assert worker.held_because is None
    assert len(seen) <= 28, "\n".join(seen)
