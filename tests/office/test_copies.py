"""The office's inbox gets a copy of each newsletter, if the environment says so."""

from datetime import timedelta

import pytest

from belong_mail.core.db import now
from belong_mail.newsletters import service as newsletters
from tests.factories import group_named

INBOX = "inbox@dpsk12.org"


def set_to(copies: str) -> dict[str, str]:
    return {"BELONG_CONTACT_INBOX": INBOX, "BELONG_COPY_TO_OFFICE": copies}


@pytest.mark.parametrize(("settings", "copies"), [(set_to("yes"), 1), (set_to("no"), 0)])
def test_the_environment_says_whether_the_office_gets_a_copy(services, worker, relay, copies):
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "asian"), "Tea", "Come.")
        issue.due_at = now() - timedelta(seconds=1)
    worker.drain()
    assert [str(mail["Subject"]) for mail in relay.to(INBOX)] == ["Tea"] * copies
