"""The line about the people whom a group welcomes: a line that the office alone writes."""

from sqlalchemy import select

from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from tests.browser_client import Form
from tests.factories import group_named

PAGE = "/office/groups/asian"
LINE = {"audience_en": "Friends are welcome", "audience_es": "Las amistades son bienvenidas"}


def test_the_office_says_whom_a_group_welcomes_in_every_language(office, visitor):
    assert "Friends are welcome" not in visitor.open("/groups/asian").text
    answer = office.send(PAGE, **LINE)
    assert answer.status_code == 303
    assert "Saved. Everyone can see it now." in office.open(answer.location).text
    assert "<li>Friends are welcome</li>" in visitor.open("/groups/asian").text
    spanish = visitor.open("/groups/asian?lang=es").text
    assert "<li>Las amistades son bienvenidas</li>" in spanish
    assert "Friends are welcome" in visitor.open("/groups/asian/poster").text
    assert Form(office.open(PAGE).text).fields["audience_en"] == "Friends are welcome"
    assert office.send(PAGE, audience_en="", audience_es="").status_code == 303
    assert "welcome" not in visitor.open("/groups/asian").text.partition('class="columns"')[0]


def test_the_office_finds_every_group_from_its_first_page(office):
    assert 'href="/office/groups"' in office.open("/office").text
    page = office.open("/office/groups").text
    assert page.count('href="/office/groups/') == 10
    assert page.count("Not written yet: who is welcome") == 9


def test_a_line_that_cannot_be_shown_is_explained_and_kept(office):
    for wrong in ("x" * 161, "one\ntwo", "a\u202eb"):
        answer = office.send(PAGE, **LINE | {"audience_en": wrong})
        assert answer.status_code == 422
        assert "Problem: " in answer.text
        assert Form(answer.text).fields["audience_es"] == LINE["audience_es"]
    assert office.press(PAGE, **LINE).status_code == 400


def test_the_line_of_a_group_that_is_retired_or_never_was_cannot_be_written(office, services):
    fields = Form(office.open(PAGE).text).fields
    with services.writing.begin() as session:
        groups.mark_retired(session, group_named(session, "asian"))
    for page in (PAGE, "/office/groups/nowhere"):
        assert "audience_en" not in office.open(page).text
    assert office.press(PAGE, **{**fields, **LINE}).status_code == 409
    assert office.press("/office/groups/nowhere", **{**fields, **LINE}).status_code == 404
    with services.reading.begin() as session:
        assert session.scalars(select(Group.audience).where(Group.slug == "asian")).one() == {}


def test_a_lead_keeps_the_line_when_the_page_is_edited(office, visitor):
    office.send(PAGE, **LINE)
    edit = "/lead/groups/asian/page"
    assert "Friends are welcome" in office.send(edit, summary_en="New", preview="1").text
    office.send(edit, summary_en="New")
    for _ in range(2):
        assert "Friends are welcome" in visitor.open("/groups/asian").text
        office.act(f"{edit}/undo")
