"""The office brings a file: it is checked, then started, and the page tells nobody's membership."""

import io
import re
from datetime import timedelta

from flask import request
from sqlalchemy import update

from belong_mail.core.db import now
from belong_mail.members import imports
from belong_mail.members.address_list import AddressList
from tests.browser_client import Form
from tests.canary import found_in
from tests.db_dump import dump_of
from tests.factories import change_group, group_named
from tests.markers import on_both, on_sqlite
from tests.office.conftest import office
from tests.overlapping import do_twice_at_once
from tests.privacy.journey import CANARY, cells_of
from tests.scenario import ADA

__all__ = ["office"]
PAGE = "/office/groups/the-village/import"


def upload(office, content: bytes | str, page: str = "", **typed):
    """Send a file by the page's form as it is, or as it was when the page was opened."""
    data = content.encode() if isinstance(content, str) else content
    sent = {**Form(page or office.open(PAGE).text).fields, **typed}
    sent["file"] = (io.BytesIO(data), "list.csv")
    return office.press(PAGE, **sent)


def press(office, what: str, page: str = ""):
    """Press a button of the page as it is, or as it was when it was looked at."""
    [seen] = set(re.findall(r'name="seen" value="([^"]+)"', page or office.open(PAGE).text))
    return office.act(f"{PAGE}/{what}", seen=seen)


def test_a_file_is_checked_and_asks_nobody_until_it_is_started(office, scenario):
    assert "Our email list is moving" not in office.open(PAGE).text
    refused = upload(office, b"PK\x03\x04xl")
    assert (refused.status_code, scenario.rows("imports")) == (422, 0)
    assert "save it as comma-separated values (.csv)" in refused.text
    rows = f"Email address\n{CANARY}\n{ADA}\nx@gmail.com\noops\n" + 1000 * f"{ADA}\n"
    answer = upload(office, rows, language="es")
    assert answer.status_code == 303
    page = office.open(answer.location).text
    assert "2 people will be asked." in page
    assert "1 row has an address that isn’t a staff address. Row: 4" in page
    assert "1 row has no address that we can read. Row: 5" in page
    assert "1,000 rows repeat an address." in page
    for words in ("…</li>", "No one can join this group now"):
        assert words not in page, words
    assert page.index("Our email list is moving") < page.index("Ask these people")
    assert "Delete the file" in page
    assert "Nuestra lista de correo se muda" in page
    assert scenario.mails(CANARY) == []
    assert press(office, "start").status_code == 303
    page = office.open(PAGE).text
    assert "Done: fewer than 10 of fewer than 10 people. About 5 more minutes." in page
    assert 'data-state="sending"' in page
    assert "/static/progress.js" in page
    scenario.execute(update(imports.ImportBatch).values(size=3000))
    assert "About 50 more minutes." in office.open(PAGE).text
    [mail] = scenario.mails(CANARY)
    assert mail["Subject"] == "¿Quieres seguir en una lista de correo de DPS Belong?"
    after = office.open(PAGE).text
    assert "The last file is done: fewer than 10 people." in after
    assert "/static/progress.js" not in after
    assert found_in((page + after).encode(), [CANARY, ADA, "gmail"]) == []
    assert found_in(b"\n".join(cells_of([dump_of(scenario.services)])), [CANARY]) == []


def test_the_page_says_the_same_of_members_and_of_others(office, scenario):
    scenario.enter()
    for address in (ADA, "bob@dpsk12.org"):
        upload(office, address)
        assert "1 person will be asked." in office.open(PAGE).text
        press(office, "start")
        scenario.worker.drain()
        assert "The last file is done: fewer than 10 people." in office.open(PAGE).text
    assert len(scenario.mails("bob@dpsk12.org")) == 1


def test_a_stopped_file_leaves_nobody_to_be_asked(office, scenario):
    opened = office.open(PAGE).text
    upload(office, ADA)
    press(office, "start")
    assert upload(office, "bob@dpsk12.org", opened).status_code == 409
    told = office.open(press(office, "discard").location).text
    assert "Anyone we already asked can still join" in told
    assert scenario.mails() == []
    assert scenario.rows("imports") == scenario.rows("import_batches") == 0
    kinds = [row[2] for row in dump_of(scenario.services)["audit_entries"]]
    assert {"list of addresses imported", "import of addresses stopped"} <= set(kinds)


def test_only_the_file_that_was_looked_at_is_started_or_deleted(office, scenario):
    opened = office.open(PAGE).text
    upload(office, ADA)
    looked_at = office.open(PAGE).text
    upload(office, "bob@dpsk12.org\ncy@dpsk12.org\n", opened)
    for what in ("start", "discard"):
        assert press(office, what, looked_at).status_code == 409
    scenario.worker.drain()
    assert scenario.mails() == scenario.mails("bob@dpsk12.org") == []
    page = office.open(PAGE).text
    assert "2 people will be asked." in page
    assert press(office, "start", page).status_code == 303


def test_nobody_is_asked_once_their_group_is_to_end_however_far_the_file_is(office, scenario):
    def end(at) -> None:
        scenario.do(change_group, "the-village", ends_at=at)

    fields = Form(office.open(PAGE).text).fields | {"file": (io.BytesIO(ADA.encode()), "a.csv")}
    upload(office, ADA)
    end(now() + timedelta(days=9))
    assert "No one can join this group now" in office.open(PAGE).text
    assert press(office, "start").status_code == 409
    assert office.press(PAGE, **fields).status_code == 409
    end(None)
    assert press(office, "start").status_code == 303
    end(now() + timedelta(days=9))
    assert scenario.mails() == []


@on_both("races")
def test_only_one_of_two_files_that_are_checked_at_once_is_kept(scenario):
    def check(session) -> None:
        group, found = group_named(session, "the-village"), AddressList([ADA])
        imports.store(session, scenario.services.sealer, group, found, "en")

    do_twice_at_once(scenario.services, check)
    assert scenario.rows("imports") == scenario.rows("import_batches") == 1


@on_sqlite
def test_an_upload_is_never_written_to_disk(app):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="list.csv"\r\n\r\n'
    body = head + b"x" * 600_000 + b"\r\n--b--\r\n"
    kind = "multipart/form-data; boundary=b"
    with app.test_request_context(PAGE, method="POST", data=body, content_type=kind):
        request.max_content_length = 1_000_000
        stream = request.files["file"].stream
        assert isinstance(stream, io.BytesIO)
        assert len(stream.read()) == 600_000
