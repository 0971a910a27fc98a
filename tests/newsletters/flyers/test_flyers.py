"""A lead attaches flyers to a newsletter; every member gets exactly these files."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from belong_mail.core.db import now
from belong_mail.newsletters import files
from belong_mail.newsletters.confinement import MAX_FILE, CleanFlyer
from belong_mail.newsletters.files import file_name, octets
from belong_mail.newsletters.models import Flyer, Image, Newsletter, RenderedIssue
from tests import crawl
from tests.browser_client import Form, html_of, text_of
from tests.factories import change_group
from tests.markers import on_both
from tests.newsletters.flyers.samples import flyer, of_pages, tagged, talkative
from tests.newsletters.pictures.samples import add as add_picture
from tests.newsletters.pictures.samples import attach, code_of, picture
from tests.newsletters.writing import act, begin, refused, release, write

LEAD, INBOX = "lead-of-the-village@dpsk12.org", "dps-belong@example.org"


def kept(scenario) -> list[Flyer]:
    return scenario.query(select(Flyer).order_by(Flyer.id))


def content_of(scenario, kept_flyer: Flyer) -> bytes:
    return scenario.query(select(Flyer.content).where(Flyer.id == kept_flyer.id))[0]


def files_of(mail) -> list[tuple[str | None, bytes]]:
    return [(each.get_filename(), each.get_content()) for each in mail.iter_attachments()]


@on_both("octets")
@pytest.mark.parametrize("settings", [{"BELONG_COPY_TO_OFFICE": "yes"}])
def test_every_member_gets_the_flyers_as_files_of_the_email(lead, scenario):
    scenario.add_members(2)
    page = begin(lead)
    assert add_picture(lead, page, picture()).status_code == 303
    assert attach(lead, page, talkative()).status_code == 303
    assert attach(lead, page, tagged(), "Té & café: ¿vienes?").status_code == 303
    text = f"Come.\n\n{code_of(lead, page)}"
    typed = {"subject": "Tea", "text": text, "text_es": text, "subject_es": "Té"}
    assert lead.send(page, **typed).status_code == 303
    first, second = (content_of(scenario, each) for each in kept(scenario))
    act(lead, page, "test")
    release(lead, page, scenario.worker)
    for to in ("member0@dpsk12.org", "member1@dpsk12.org", LEAD):
        mail = scenario.relay.to(to)[-1]
        assert mail.get_content_type() == "multipart/mixed"
        [body, one, other] = mail.iter_parts()
        assert body.get_content_type() == "multipart/alternative"
        assert files_of(mail) == [
            ("Tea-on-Friday.pdf", first), ("Te-cafe-vienes.pdf", second),
        ]  # fmt: skip
        assert one.get_content_type() == other.get_content_type() == "application/pdf"
        assert one["Content-Disposition"].content_disposition == "attachment"
        for words in (text_of(mail), html_of(mail)):
            assert "Tea on Friday (PDF, 1 p" in words
        assert "- Té & café: ¿vienes? (PDF, 1 p" in text_of(mail)
        assert [part.get_content_type() for part in body.walk()].count("image/png") == 1
        raw = mail.as_bytes()
        assert max(map(len, raw.split(b"\n"))) < 998
        assert b"ada.pdf" not in raw
        assert "http" not in one.as_string()
    assert scenario.relay.to(INBOX)[-1].get_content_type() == "multipart/mixed"


def test_the_page_lists_flyers_and_takes_them_away_again(lead, scenario):
    page = write(lead)
    assert "Attached flyers" not in lead.open(page).text
    attach(lead, page, of_pages(3))
    shown = lead.open(attach(lead, page, flyer(), "Tea on friday").location)
    one, other = kept(scenario)
    listed = shown.text
    assert "PDF, 3 pages" in listed
    assert "Added. " in listed
    for shown in (listed, lead.open(page).text, lead.open(f"{page}/release").text):
        assert f"{page}/flyers/{one.public_id}" in shown
    checklist = lead.open(f"{page}/release").text
    assert "has no tags for screen readers" in checklist
    fields = Form(lead.open(page).text).fields
    preview = lead.press(f"{page}/preview?as=text", **fields).text
    assert "- Tea on Friday (PDF, 3 pages)" in preview
    shown = lead.send(page, remove=one.public_id, text="Typed, {not} saved")
    assert shown.status_code == 422
    assert "Typed, {not} saved" in shown.text
    assert one.public_id not in shown.text
    assert [each.title for each in kept(scenario)] == ["Tea on friday"]
    assert lead.send(page, remove=other.public_id, text="Typed and saved").status_code == 303
    assert kept(scenario) == []
    assert "Typed and saved" in lead.open(page).text


def test_a_flyer_is_downloaded_as_it_is_mailed_and_never_opened_as_a_page(lead, scenario):
    page = begin(lead)
    attach(lead, page, talkative())
    [one] = kept(scenario)
    answer = lead.open(f"{page}/flyers/{one.public_id}")
    assert answer.data == content_of(scenario, one)
    assert b"Lovelace" not in answer.data
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"] == "attachment; filename=Tea-on-Friday.pdf"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_flyer_title_that_names_the_group_is_not_sent_however_it_was_stored(lead, scenario):
    scenario.add_members(1)
    page = write(lead)
    attach(lead, page, flyer())
    scenario.execute(update(Flyer).values(title="Tea of The Village"))
    assert "The title of a flyer names the group" in refused(lead, page)
    scenario.execute(update(Newsletter).values(due_at=now()))
    assert scenario.mails("member0@dpsk12.org") == []
    assert "names the group" in lead.open(f"{page}/sending").text


def test_all_flyers_of_a_newsletter_have_five_files_and_five_megabytes(lead, scenario):
    page = begin(lead)
    with scenario.services.writing.begin() as session:
        issue = session.scalars(select(Newsletter)).one()
        size = MAX_FILE - len(flyer()) + 100
        files.add_flyer(session, issue, "Large", CleanFlyer(b"x" * size, 1, is_tagged=True))
    answer = attach(lead, page, tagged())
    assert answer.status_code == 422
    assert "can total 5 MB" in answer.text
    with scenario.services.writing.begin() as session:
        session.execute(update(Flyer).values(size=1))
        issue = session.scalars(select(Newsletter)).one()
        for number in range(4):
            clean = CleanFlyer(b"x", 1, is_tagged=True)
            files.add_flyer(session, issue, f"Tea {number}", clean)
    fields = Form(lead.open("/lead/").text).fields
    upload = {"flyer": (io.BytesIO(flyer()), "x.pdf"), "title": "Sixth", **fields}
    answer = lead.press(f"{page}/flyers", **upload)
    assert answer.status_code == 422
    assert "up to 5 flyers" in answer.text
    assert len(kept(scenario)) == 5


def test_pictures_and_flyers_together_fit_what_servers_take(lead, scenario):
    page = begin(lead)
    add_picture(lead, page, picture())
    lead.send(page, subject="Tea", text=code_of(lead, page))
    attach(lead, page, flyer())
    assert "too large" not in lead.open(f"{page}/release").text
    with scenario.services.writing.begin() as session:
        session.execute(update(Flyer).values(size=MAX_FILE))
        assert octets(session.scalars(select(Flyer)).one()) > MAX_FILE * 4 / 3
    assert "too large" not in lead.open(f"{page}/release").text
    scenario.execute(update(Image).values(content=b"x" * 2_500_000))
    assert "With its pictures and flyers, the email is too large" in refused(lead, page)


def test_a_released_newsletter_keeps_its_flyers_and_sends_them_as_frozen(lead, scenario):
    scenario.add_members(1)
    page = write(lead)
    attach(lead, page, flyer())
    [one] = kept(scenario)
    before = content_of(scenario, one)
    release(lead, page, scenario.worker)
    assert lead.act(page, remove=one.public_id).status_code == 409
    assert lead.open(f"{page}/flyers").location.endswith("/sending")
    assert f"{page}/flyers/{one.public_id}" in lead.open(f"{page}/read").text
    assert files_of(scenario.relay.to("member0@dpsk12.org")[-1]) == [("Tea-on-Friday.pdf", before)]
    with scenario.services.reading.begin() as session:
        assert session.scalar(select(func.count()).select_from(RenderedIssue)) == 2


def test_a_copy_and_a_template_have_the_flyers_and_a_deleted_draft_takes_them_along(lead, scenario):
    page = write(lead)
    attach(lead, page, tagged())
    copy = lead.act(f"{page}/duplicate").location.partition("?")[0]
    first, second = kept(scenario)
    assert content_of(scenario, first) == content_of(scenario, second)
    assert (first.title, first.pages, first.size, first.is_tagged) == (
        second.title, second.pages, second.size, second.is_tagged,
    )  # fmt: skip
    assert f"{copy}/flyers/{second.public_id}" in lead.open(copy).text
    lead.send(page, template="1")
    assert len(kept(scenario)) == 3
    act(lead, page, "delete")
    assert first.public_id not in {each.public_id for each in kept(scenario)}
    assert len(kept(scenario)) == 2


@pytest.mark.parametrize(
    ("title", "name"),
    [("Tea on Friday", "Tea-on-Friday"), ("¡Té!", "Te"), ("../../etc/passwd", "etc-passwd"),
     ("茶", "flyer"), ('a"\r\nX: b', "a-X-b"), ("-.-", "flyer")],
)  # fmt: skip
def test_a_file_has_a_name_that_every_system_knows(title, name):
    assert file_name(title) == name
    alike = [Flyer(title=each, content=b"%PDF-") for each in (title, title.upper())]
    second = f"{file_name(title.upper())}-2.pdf"  # some systems take them for one
    assert [each.name for each in files.attached(alike)] == [f"{name}.pdf", second]


def test_a_second_leader_and_the_office_read_the_flyers(app, lead, scenario):
    page = write(lead)
    attach(lead, page, flyer())
    [one] = kept(scenario)
    office = crawl.sign_in(app, scenario.keyring)
    scenario.do(change_group, "the-village", approval_rule="always")
    lead.send(f"{page}/release", when="1")
    assert f"{page}/flyers/{one.public_id}" in office.open(f"{page}/approve").text
    scenario.execute(update(Newsletter).values(due_at=now() + timedelta(days=1)))
    there = page.replace("/lead/", "/office/")
    assert f"{there}/flyers/{one.public_id}" in office.open(f"{there}/read").text
    answer = office.open(f"{there}/flyers/{one.public_id}")
    assert answer.data == content_of(scenario, one)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert office.open(f"{there}/flyers/x").status_code == 404
    assert lead.open(f"{there}/flyers/{one.public_id}").status_code == 404
