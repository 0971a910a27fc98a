"""A preview, a paused issue and an unconfirmed address, each on its own."""

import re

import pytest
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.delivery.models import Chunk
from belong_mail.members.jobs import MoveAddress
from belong_mail.members.models import AddressChange
from belong_mail.newsletters import release
from tests.browser_client import Form
from tests.crawl import MEMBER, MOVED, lead_stops, sign_in
from tests.factories import make_members, queue_at_once

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_preview_is_shut_in_by_the_page_and_by_its_own_answer(app, services, keyring):
    lead = sign_in(app, keyring)
    draft_page = re.compile(r"/lead/newsletters/[\w-]{22}")
    [draft] = filter(draft_page.fullmatch, lead_stops(app, services))
    page = lead.open(draft)
    frames = [tag for tag in page.text.split("<") if tag.startswith("iframe")]
    assert frames
    assert [frame for frame in frames if 'sandbox=""' not in frame] == []
    fields = Form(page.text).fields | {"text": "<script>alert(1)</script>"}
    answer = lead.press(f"{draft}/preview", **fields)
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert answer.status_code == 200
    assert {"default-src 'none'", "sandbox", "form-action 'none'"} <= set(policy)
    assert "<script" not in answer.text


def test_a_paused_issue_is_not_even_read_ahead(services, keyring, worker, relay):
    with services.writing.begin() as session:
        make_members(session, keyring, 3)
        issue = queue_at_once(worker, session)
        release.act(session, issue, release.pause)
        issue.paused_at = None  # as the web alone may write
    worker.drain()
    assert relay.accepted == []
    with services.writing.begin() as session:
        assert session.scalars(select(Chunk.inserted)).all() == [None]


@pytest.mark.usefixtures("links")
def test_nobody_moves_to_an_address_that_has_not_confirmed(services, worker, relay):
    with services.writing.begin() as session:
        change = session.scalars(select(AddressChange)).one()
        change.confirmed_at = now()  # by the web alone: the secret stands in the new mailbox
        MoveAddress(change.public_id).ask(session, services.sealer)
    before = len(relay.to(MEMBER))
    worker.drain()
    assert len(relay.to(MEMBER)) == before
    assert len(relay.to(MOVED)) == 1
