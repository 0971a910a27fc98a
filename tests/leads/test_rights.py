"""Two leads of two groups: what is another group's is not there, and nothing changes."""

import pytest
from sqlalchemy import select

from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import Parts
from tests.factories import group_named
from tests.people import Form, Visitor

PAGES = ("", "/release", "/sending", "/sending/state", "/stop", "/delete")
DEEDS = ("", "/save", "/preview", "/release", "/test", "/undo", "/pause", "/resume", "/stop",
         "/delete")  # fmt: skip


@pytest.fixture
def foreign(parts: Parts, lead: Visitor, other_lead: Visitor) -> str:
    """The pages of an issue of The Village, looked at by the lead of another group."""
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    page = lead.press("/lead/groups/the-village/newsletters", csrf_token=token).location
    lead.send(page, subject="Ours", text="Only ours.")
    return str(page)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_of_another_groups_issue_is_not_there(
    foreign: str, other_lead: Visitor, page: str
) -> None:
    assert other_lead.open(foreign + page).status_code == 404


@pytest.mark.parametrize("deed", DEEDS)
def test_nobody_acts_on_another_groups_issue(
    foreign: str, other_lead: Visitor, parts: Parts, deed: str
) -> None:
    token = Form(other_lead.open("/lead/").text).fields["csrf_token"]
    answer = other_lead.press(foreign + deed, csrf_token=token, subject="Mine", text="Mine now")
    assert answer.status_code == 404
    with parts.reading.begin() as session:
        [issue] = session.scalars(select(Newsletter))
        assert (issue.subject, issue.due_at, issue.queued_at) == ("Ours", None, None)


def test_nobody_writes_for_or_edits_another_group(other_lead: Visitor, parts: Parts) -> None:
    token = Form(other_lead.open("/lead/").text).fields["csrf_token"]
    for page in ("newsletters", "page", "page/undo"):
        answer = other_lead.press(
            f"/lead/groups/the-village/{page}", csrf_token=token, summary_en="Taken over"
        )
        assert answer.status_code == 404
    with parts.reading.begin() as session:
        assert "Taken over" not in str(group_named(session, "the-village").summary)


def test_strangers_are_sent_to_sign_in_and_post_nothing(visitor: Visitor) -> None:
    assert visitor.open("/lead/").location.startswith("/sign-in")
    assert visitor.open("/lead/groups/the-village/page").location.startswith("/sign-in")
    assert visitor.press("/lead/groups/the-village/newsletters").status_code in {400, 403}


def test_a_lead_who_was_removed_has_no_group_any_more(
    lead: Visitor, parts: Parts, cli: object
) -> None:
    runner: object = cli
    result = runner.invoke(  # type: ignore[attr-defined]
        args=["lead", "remove", "lead-of-the-village@dpsk12.org", "--group", "the-village"]
    )
    assert result.exit_code == 0, result.output
    assert "You lead no group any more" in lead.open("/lead/").text
    assert lead.open("/lead/groups/the-village/page").status_code == 404
