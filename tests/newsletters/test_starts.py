"""A newsletter starts from the group's template, and takes in its next meetings."""

import pytest
from sqlalchemy import select

from belong_mail.core import i18n
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.newsletters import release as issue_release
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import InvalidState
from tests.browser_client import Form
from tests.db_dump import trail
from tests.factories import change_group, plan_meeting
from tests.newsletters.pictures.samples import add, code_of, picture
from tests.newsletters.writing import act, begin, write
from tests.scenario import drain_in

WORDS = {"subject": "Tea", "preheader": "And cake", "text": "Dear {first_name}", "subject_es": "Té",
         "text_es": "Hola"}  # fmt: skip


def start(lead) -> str:
    return str(lead.act("/lead/groups/the-village/newsletters", template="1").location)


def save_template(lead, **words: str) -> str:
    page = begin(lead)
    answer = lead.send(page, **{**WORDS, **words}, template="1")
    assert "Saved as the group’s template." in lead.open(answer.location).text
    return page


def template_of(lead) -> str:
    before = lead.open("/lead/").text.partition("Edit the template")[0]
    return before.rpartition('href="')[2].partition('"')[0]


def words_of(lead, page: str) -> dict[str, str]:
    fields = Form(lead.open(page).text).fields
    return {name: fields[name] for name in WORDS}


def test_newsletters_start_from_the_template_that_a_leader_saved(lead):
    assert "Start from the group’s template" not in lead.open("/lead/").text
    draft = begin(lead)
    assert add(lead, draft, picture(), says="Twelve people").status_code == 303
    source = code_of(lead, draft)
    lead.send(draft, **{**WORDS, "text": source}, template="1")
    assert "Start from the group’s template" in lead.open("/lead/").text
    page = start(lead)
    shown = words_of(lead, page)
    assert {**shown, "text": ""} == {**WORDS, "text": ""}
    assert shown["text"].startswith("![Twelve people](picture:")
    assert shown["text"] != source
    act(lead, draft, "delete")
    assert f'<img src="{page}/pictures/' in lead.open(page).text
    assert words_of(lead, start(lead))["subject"] == "Tea"


def test_a_template_is_edited_replaced_and_deleted_and_is_no_draft(lead, scenario):
    save_template(lead)
    template = template_of(lead)
    assert "Draft" in lead.open("/lead/").text
    assert lead.open("/lead/").text.count(template) == 1
    lead.send(template, **{**WORDS, "subject": "Coffee"})
    assert words_of(lead, start(lead))["subject"] == "Coffee"
    save_template(lead, subject="Lunch")
    assert lead.open(template).status_code == 404
    [only] = scenario.query(select(Newsletter).where(Newsletter.is_template))
    assert only.default_subject == "Lunch"
    assert len(trail(scenario.services, Kind.TEMPLATE_SAVED)) == 2
    template = template_of(lead)
    assert "Deleted." in lead.open(lead.act(f"{template}/delete").location).text
    assert "Start from the group’s template" not in lead.open("/lead/").text
    assert words_of(lead, start(lead))["subject"] == ""


def test_a_template_never_goes_out(lead, scenario):
    scenario.add_members(1)
    save_template(lead)
    template = template_of(lead)
    for page in ("release", "sending", "read"):
        assert lead.open(f"{template}/{page}").status_code == 404
    act(lead, template, "test", 404)
    assert lead.act(f"{template}/release", when="1").status_code == 404
    with scenario.services.writing.begin() as session:
        found = session.scalars(select(Newsletter).where(Newsletter.is_template)).one()
        with pytest.raises(InvalidState):
            issue_release.release(session, found, now())
        found.due_at = now()
    drain_in(scenario.worker, minutes=2)
    assert scenario.relay.to("member0@dpsk12.org") == []


def test_no_newsletter_begins_in_a_group_that_has_not_begun(lead, scenario):
    page = write(lead)
    scenario.do(change_group, "the-village", established_at=None)
    for place in ("/lead/groups/the-village/newsletters", f"{page}/duplicate"):
        assert lead.act(place).status_code == 404
    assert scenario.rows("newsletters") == 1


def test_the_first_page_shows_first_what_goes_out(lead):
    scheduled = write(lead, subject="Sooner")
    assert lead.send(f"{scheduled}/release", when="60").status_code == 303
    write(lead, subject="Later")
    empty = begin(lead)
    assert begin(lead) == empty, "no one has written in it"
    rows = lead.open("/lead/").text.partition('<ul class="issues"')[2].partition("</ul>")[0]
    words = [each.partition(">")[2].partition("<")[0] for each in rows.split("<a ")[1:]]
    assert words == ["Sooner", "A draft without a subject", "Later"]
    assert "Written by you" not in rows
    act(lead, empty, "delete")


def test_the_first_page_shows_since_when_a_draft_is_there_by_whom_and_the_next_dates(
    lead, scenario
):
    scenario.do(plan_meeting)
    lead.send(begin(lead), **WORDS)
    home = lead.open("/lead/").text
    row = home.partition(">Tea</a>")[2].partition("</li>")[0]
    day = now().astimezone(scenario.services.settings.timezone).date()
    assert f">{i18n.format_day(day, i18n.DEFAULT, 'short')}</span>" in row
    assert "4:00 – 5:00 PM" in home.partition("Next meetings")[2]
