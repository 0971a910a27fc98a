"""Sent newsletters can be read again, by the leaders of their group alone."""

import re
from datetime import timedelta

from sqlalchemy import delete, select

from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import Form
from tests.clients import sign_in
from tests.factories import group_named, queue_issue
from tests.markers import on_both
from tests.newsletters.pictures.samples import add, code_of, picture
from tests.newsletters.writing import act, begin, release, write

PAST = "/lead/groups/the-village/newsletters"
WORDS = {
    "subject": "Tea for {first_name}",
    "preheader": "And *cake*",
    "text": "Dear {first_name},\n\ncome to **tea** with {group}.<script>",
    "subject_es": "Té",
    "text_es": "Vengan al té del {group}.",
}


def test_a_newsletter_that_went_out_is_read_again_in_each_language(lead, scenario):
    assert "No newsletter has been sent yet." in lead.open(PAST).text
    page = write(lead, **WORDS)
    begin(lead)
    assert "It hasn’t been sent yet." in lead.open(f"{page}/read").text
    release(lead, page, scenario.worker)
    past = lead.open(PAST).text
    assert past.count("/read") == 1
    assert f"{page}/read" in past
    assert f'<a href="{PAST}"' in lead.open("/lead/").text
    assert f"{page}/read" in lead.open(f"{page}/sending").text
    shown = lead.open(f"{page}/read").text
    for words in (
        "Tea for colleague", "And *cake*", "Dear colleague,", "<strong>tea</strong>",
        "The Village Belong Group", "&lt;script&gt;", "Té", "Vengan al té del grupo The Village.",
        f"{now() + timedelta(minutes=2):%Y}", "Written by you. You sent it.", 'lang="es"',
        "In Spanish",
    ):  # fmt: skip
        assert words in shown


def test_a_leaders_home_lists_all_open_newsletters_and_the_three_that_ended_last(lead, scenario):
    with scenario.services.writing.begin() as session:
        for number in range(25):
            newsletters.draft(session, group_named(session, "the-village"), f"Open {number}", "Tea")
        for number in range(4):
            issue = queue_issue(session, subject=f"Ended {number}")
            issue.ended_at = issue.changed_at = now() + timedelta(minutes=number)
    home = lead.open("/lead/").text
    assert home.count(">Open ") == 25
    assert re.findall(r">(Ended \d)<", home) == ["Ended 3", "Ended 2", "Ended 1"]


def test_another_leader_of_the_group_reads_who_sent_it_and_nobody_else_reads_it(
    lead, other_lead, app, scenario
):
    page = write(lead)
    release(lead, page, scenario.worker)
    address = "second@dpsk12.org"
    second = sign_in(app, scenario.keyring, "the-village", address)
    assert "Written by a group leader. Sent by a group leader." in second.open(f"{page}/read").text
    with scenario.services.writing.begin() as session:
        session.scalars(select(Account).order_by(Account.id)).first().name = "Sam <3"
    write(second)  # another newsletter has another writer
    named = "Written by Sam &lt;3. Sent by Sam &lt;3."
    assert named in second.open(f"{page}/read").text
    assert f"{page}/read" in second.open(PAST).text
    assert f"{page}/read" not in other_lead.open("/lead/groups/asian/newsletters").text
    scenario.execute(delete(Account).where(Account.id == 1))
    assert "sent it." not in second.open(f"{page}/read").text


def test_a_canceled_newsletter_is_a_draft_and_one_sent_by_a_command_has_no_sender(lead, scenario):
    page = write(lead)
    assert lead.send(f"{page}/release", when="60").status_code == 303
    assert "Cancel sending" in lead.open(f"{page}/sending").text
    act(lead, page, "undo")
    assert "draft" in lead.open(f"{page}/sending").text
    public_id = scenario.do(queue_issue).public_id
    scenario.worker.drain()
    assert "sent it." not in lead.open(f"/lead/newsletters/{public_id}/read").text
    assert "Cancel" not in lead.open(f"/lead/newsletters/{public_id}/sending").text


def test_the_report_after_a_stop_is_true(lead, scenario):
    """It was stopped when there was nothing left to stop: then nobody missed it."""
    scenario.add_members(30)
    page = write(lead)
    release(lead, page, scenario.worker)
    assert "Sent on " in lead.open(f"{page}/sending").text
    assert ">Stopped<" not in lead.open(PAST).text
    act(lead, page, "stop")
    assert ">Stopped<" in lead.open(PAST).text
    shown = lead.open(f"{page}/sending").text
    assert "Stopped, but no copies were left to stop." in shown
    assert "won’t get it" not in shown
    assert "Sent to about 30 members." in shown
    assert "wasn’t sent" not in shown


def sent(scenario, subject: str, text: str, at, preview: str = "", **es: str) -> str:
    """Keep a newsletter of The Village that went out at a time; return its page."""
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "the-village"), subject, text)
        newsletters.update_draft(
            issue,
            subject={"en": subject, "es": es.get("title", "")},
            text={"en": text, "es": es.get("words", "")},
            preheader={"en": preview},
        )
        issue.queued_at = issue.due_at = at
        return f"/lead/newsletters/{issue.public_id}"


def found(lead, query: str) -> list[str]:
    return re.findall(r'href="(/lead/newsletters/[^"]+)/read"', lead.open(f"{PAST}?{query}").text)


@on_both("a search by each dialect")
def test_past_newsletters_are_found_by_words_in_any_language(lead, scenario):
    at = now() - timedelta(days=30)
    tea = sent(scenario, "Tea & cake", "100% of_us came.", at, title="Té", words="¡Vengan, niños!")
    walk = sent(scenario, "A walk", "In the “hills”.", at + timedelta(days=1), "Bring boots")
    for words, pages in {
        "TEA": [tea], "te": [tea], "t%C3%A9": [tea], "ninos": [tea], "VENGAN tea": [tea],
        "hills+tea": [], "hills+boots": [walk], "": [walk, tea], "%25": [tea], "of_us": [tea],
        "ofxus": [], "xyz": [], "%00": [walk, tea], "\\": [], "'": [],
    }.items():  # fmt: skip
        assert found(lead, f"words={words.replace(' ', '+')}") == pages, words
    shown = lead.open(f"{PAST}?words=%22%3E%3Cscript%3E").text
    assert "<script>" not in shown.partition("</head>")[2].replace("<script src", "")
    assert "No newsletter has these words." in shown
    assert "2 newsletters found" in lead.open(f"{PAST}?words=a").text
    assert lead.open(f"{PAST}?words={'a' * 101}").status_code == 422


def test_past_newsletters_come_in_pages_that_keep_the_search(lead, scenario):
    at = now() - timedelta(days=60)
    pages = [sent(scenario, f"Tea {n}", "Tea.", at + timedelta(hours=n)) for n in range(21)]
    assert found(lead, "") == pages[:0:-1]
    assert found(lead, "page=2") == pages[:1]
    for beyond in ("9", "-1", "x", "0"):
        assert found(lead, f"page={beyond}")
    for number, way in ((1, "next"), (2, "prev")):
        page = lead.open(f"{PAST}?words=tea&page={number}").text
        assert f"Page {number} of 2" in page
        assert re.findall(r'rel="(next|prev)"', page) == [way]
        assert "words=tea" in page.partition(f'rel="{way}"')[0][-200:]
    assert found(lead, "words=tea&page=2") == pages[:1]


def test_a_newsletter_is_duplicated_with_words_and_pictures_and_nothing_else(lead, scenario):
    page = begin(lead)
    assert add(lead, page, picture(), says="Twelve people").status_code == 303
    lead.send(page, **{**WORDS, "text": f"Look:\n\n{code_of(lead, page)}"})
    release(lead, page, scenario.worker)
    assert f'action="{page}/duplicate"' in lead.open(f"{page}/read").text
    answer = lead.act(f"{page}/duplicate")
    assert answer.status_code == 303
    copy = answer.location.partition("?")[0]
    assert "stays as it is" in lead.open(answer.location).text
    fields = Form(lead.open(copy).text).fields
    assert (fields["subject"], fields["preheader"]) == (WORDS["subject"], WORDS["preheader"])
    assert fields["subject_es"] == WORDS["subject_es"]
    image = lead.open(copy).text.partition('<img src="')[2].partition('"')[0]
    assert image.startswith(f"{copy}/pictures/")
    assert lead.open(image).status_code == 200
    assert image.rpartition("/")[2] in fields["text"]
    with scenario.services.reading.begin() as session:
        old, new = session.scalars(select(Newsletter).order_by(Newsletter.id))
        assert new.images[0].public_id != old.images[0].public_id
        nothing = (new.due_at, new.queued_at, new.released_by, new.held_at)
        assert set(nothing) == {None}
    act(lead, copy, "delete")
    shown = lead.open(f"{page}/read").text
    assert 'alt="Twelve people"' in shown
    assert lead.open(shown.split('<img src="')[1].split('"')[0]).data
