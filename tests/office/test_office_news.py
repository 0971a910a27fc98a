"""Office news needs no code: it is a group that the office leads, as docs/office.md says."""

from sqlalchemy import select

from belong_mail.groups.models import Group
from belong_mail.newsletters import service as newsletters
from tests.browser_client import Visitor, html_of, link_to, text_of

OFFICE, READER = "office@dpsk12.org", "reader@dpsk12.org"
SLUG = "office-news"


def test_the_office_opens_a_group_leads_it_itself_and_writes_to_who_joined(
    app, office, visitor, scenario, services
):
    described = {"summary_en": "News of the office.", "summary_es": "Noticias de la oficina."}
    answer = office.send("/office/new-group", name="Office News", **described)
    assert answer.location == f"/office/groups/{SLUG}?done=added"
    with services.reading.begin() as session:
        group = session.scalars(select(Group).where(Group.slug == SLUG)).one().public_id
    invited = {"name": "Sam, office", "email": OFFICE, "groups": [group], "language": "en"}
    assert office.send("/office/leads/invite", **invited).status_code == 303
    visitor.press(link_to(scenario.mails(OFFICE)[-1], "invitation"))
    assert office.act(f"{answer.location.partition('?')[0]}/launch").status_code == 303
    scenario.enter(READER, SLUG)

    written = office.act("/lead/groups/office-news/newsletters").location
    words = {"subject": "Now and next", "text": "We moved to **Room 4**."}
    assert office.send(written, **words).status_code == 303
    released = f"{written}/release"
    assert office.send(released, when="1").status_code == 303
    with services.writing.begin() as session:
        issue = newsletters.find(session, written.rpartition("/")[2])
        assert issue is not None
        newsletters.queue(session, issue)
    mail = scenario.mails(READER)[-1]
    assert mail["Subject"] == "Now and next"
    assert "Room 4" in text_of(mail)
    assert "Office News Belong Group" in html_of(mail)
    assert Visitor(app.test_client()).follow(link_to(mail, "leave")).status_code == 200
