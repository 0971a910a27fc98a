"""The office reads what all groups send, and stops a wrong one."""

import re
from datetime import timedelta

from sqlalchemy import update

from belong_mail.core.db import now
from belong_mail.delivery import claims
from belong_mail.delivery.models import Delivery
from belong_mail.newsletters import approval, release
from belong_mail.newsletters import service as newsletters
from tests.browser_client import html_of, text_of
from tests.factories import change_group, group_named, make_member, make_members, queue_at_once
from tests.markers import on_both
from tests.scenario import drain_in

LIST = "/office/newsletters"
LEAD, SECOND, OFFICE = "one@dpsk12.org", "two@dpsk12.org", "office@dpsk12.org"
GONE = "Copies that have left already"


def scheduled(
    scenario, slug: str = "asian", subject: str = "Lunch", wait: timedelta = timedelta(days=7)
) -> str:
    """Have a lead schedule an issue, for next week; return its page at the office."""
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, slug), subject, "Come to lunch.")
        release.release(session, issue, now() + wait)
        return f"{LIST}/{issue.public_id}"


def queued(scenario, members: int = 12) -> str:
    with scenario.services.writing.begin() as session:
        make_members(session, scenario.keyring, members)
        return f"{LIST}/{queue_at_once(scenario.worker, session).public_id}"


def held(scenario) -> str:
    """Have an issue wait for an OK, whose time passed two hours ago while nobody worked."""
    page = scheduled(scenario, wait=timedelta(hours=-2))
    scenario.worker.drain()
    assert state_of(scenario, page) == "held"
    return page


def state_of(scenario, page: str) -> str:
    with scenario.services.reading.begin() as session:
        issue = newsletters.find(session, page.rpartition("/")[2])
        assert issue is not None
        return release.issue_status(session, issue).state


def press(office, page: str, verb: str) -> int:
    return office.act(f"{page}/{verb}").status_code


def test_the_office_sees_the_newsletters_of_all_groups_and_no_draft(office, scenario):
    scheduled(scenario)
    scheduled(scenario, "lgbtq", "Picnic")
    queued(scenario)
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        hidden = newsletters.draft(session, group_named(session, "asian"), "Secret", "A draft.")
    page = office.open(LIST).text
    for words in ("Lunch", "Picnic", "This month with us", "The Asian Belong Group", "LGBTQ"):
        assert words in page
    assert page.count("Scheduled, not sent yet") == 2
    assert "Secret" not in page
    for part in ("", "/read", "/stop", "/cancel", "/send"):
        assert office.open(f"{LIST}/{hidden.public_id}{part}").status_code == 404


@on_both("counts")
def test_a_paused_newsletter_goes_on_and_is_read_with_exact_numbers_of_what_became_of_it(
    office, scenario
):
    page = queued(scenario)
    assert "<strong>everybody</strong>" in office.open(f"{page}/read").text
    press(office, page, "pause")
    assert "Paused" in office.open(LIST).text.partition("Sent, or on their way")[0]
    assert office.choose(office.open(page).text, "Resume").status_code == 303
    scenario.relay.always("RCPT member3@dpsk12.org", "550 5.1.1 No such user")
    scenario.worker.drain()
    assert state_of(scenario, page) == "sent"
    assert f"{page}/read" in office.open(page).text
    assert "<strong>everybody</strong>" in office.open(f"{page}/read").text
    assert count(office, page, "Copies in all") == 12
    assert count(office, page, "Accepted by the mail server") == 11
    assert "member3" not in office.open(page).text
    scenario.execute(update(Delivery).values(resent=1))
    assert count(office, page, "Maybe arrived twice") == 12


def count(office, page: str, words: str) -> int:
    found = re.search(rf"<dt>{words}</dt><dd>(\d+)</dd>", office.open(page).text)
    return int(found[1]) if found else 0


def test_a_wrong_newsletter_is_stopped_after_a_page_that_says_how_many_have_left(office, scenario):
    page = queued(scenario)
    assert press(office, page, "pause") == 303
    scenario.worker.drain()
    assert scenario.relay.accepted == []
    asked = office.open(f"{page}/stop").text
    assert f"{GONE}: 0 of 12." in asked
    assert press(office, page, "stop") == 303
    assert state_of(scenario, page) == "stopped"
    assert count(office, page, "Not sent") == 12
    assert press(office, page, "stop") == 409
    assert press(office, page, "resume") == 409
    scenario.worker.drain()
    assert scenario.relay.accepted == []


def test_the_office_sends_or_cancels_a_held_newsletter_whose_leaders_are_away(office, scenario):
    scenario.add_member("ada@dpsk12.org", "asian")
    first, second = held(scenario), held(scenario)
    today = office.open("/office").text
    assert all(f'href="{page}"' in today for page in (first, second))
    assert "fewer than 10 members of the Asian Belong Group" in office.open(f"{first}/send").text
    assert press(office, first, "send") == 303
    with scenario.services.reading.begin() as session:
        issue = newsletters.find(session, first.rpartition("/")[2])
        assert issue is not None
        assert issue.released_by is not None
    assert len(scenario.mails("ada@dpsk12.org")) == 1
    assert press(office, first, "send") == 409
    assert "becomes a draft again" in office.open(f"{second}/cancel").text
    assert press(office, second, "cancel") == 303
    assert state_of(scenario, second) == "draft"
    assert "Canceled." in office.open(f"{LIST}?done=canceled").text
    assert len(scenario.mails("ada@dpsk12.org")) == 1


def test_the_log_says_that_a_newsletter_missed_its_time_and_of_no_approval(office, scenario):
    held(scenario)
    for language, words in (
        ("en", "Newsletter not sent as scheduled: more than an hour late"),
        ("es", "Boletín no enviado a la hora programada: más de una hora de retraso"),
    ):
        assert words in office.open(f"/office/audit?lang={language}").text


def test_the_office_cannot_send_a_newsletter_that_lacks_a_second_leaders_approval(office, scenario):
    page = held(scenario)
    assert "Send it now" in office.open(page).text
    scenario.do(change_group, "asian", approval_rule=approval.ALWAYS)
    shown = office.open(page).text
    assert "It needs a second leader’s OK before it can be sent." in shown
    assert "Send it now" not in shown
    assert press(office, page, "send") == 409
    assert state_of(scenario, page) == "held"
    assert press(office, page, "cancel") == 303


def test_a_scheduled_newsletter_is_canceled_and_is_not_sent_before_its_time(office, scenario):
    page = scheduled(scenario)
    assert "Come to lunch." in office.open(f"{page}/read").text
    assert press(office, page, "send") == 409
    shown = office.open(page).text
    assert "you can cancel it" in shown
    assert "Cancel sending" in shown
    assert press(office, page, "cancel") == 303
    assert press(office, page, "cancel") == 404
    drain_in(scenario.worker, days=8)
    assert state_of(scenario, page) == "draft"


def test_older_newsletters_are_on_further_pages(office, scenario):
    for number in range(31):
        scenario.queue_at_once(subject=f"Number {number:02}")
    first, second = office.open(LIST).text, office.open(f"{LIST}?page=2").text
    assert "Number 30" in first
    assert "Number 00" not in first
    assert "Number 00" in second
    assert "Number 01" not in second
    assert f'href="{LIST}?page=2"' in first
    assert f'href="{LIST}?page=1"' in second
    assert office.open(f"{LIST}?page=x").status_code == 200


def told(scenario, address: str) -> list[str]:
    subjects = scenario.subjects(address)
    return [each for each in subjects if each.startswith("The Belong office")]


def test_leaders_are_emailed_what_the_office_did_and_not_what_is_no_longer_so(office, scenario):
    for address in (LEAD, SECOND, OFFICE):
        scenario.invite_lead(address, "lgbtq")
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, "member@dpsk12.org", "lgbtq")
        page = (
            f"{LIST}/{queue_at_once(scenario.worker, session, 'lgbtq', subject='Picnic').public_id}"
        )
        claims.claim_chunk(session, "other", scenario.worker._issue_mailer, 9)
    for verb, said in (("pause", "paused"), ("stop", "stopped")):
        assert press(office, page, verb) == 303
        for address in (LEAD, SECOND):
            mail = scenario.mails(address)[-1]
            assert mail["Subject"] == f"The Belong office {said} your newsletter"
            assert "lgbtq" not in " ".join(map(str, mail.values())).lower()
            for words in (text_of(mail), html_of(mail)):
                assert "“Picnic” for the LGBTQ+ Belong Group" in words
                assert f"/lead/newsletters/{page.rpartition('/')[2]}/sending" in words
    drain_in(scenario.worker, minutes=1)  # looks again at copies that are in hand at the stop
    with scenario.services.writing.begin() as session:
        page = f"{LIST}/{queue_at_once(scenario.worker, session, 'lgbtq').public_id}"
    press(office, page, "pause")
    press(office, page, "resume")
    assert told(scenario, LEAD)[2:] == ["The Belong office resumed your newsletter"]
    other = "asian.lead@dpsk12.org"
    scenario.invite_lead(other, "asian")
    sent, canceled = held(scenario), held(scenario)
    for verb, page, said in (("send", sent, "sent"), ("cancel", canceled, "canceled")):
        press(office, page, verb)
        assert told(scenario, other)[-1] == f"The Belong office {said} your newsletter"
    assert len(told(scenario, other)) == 2
    assert told(scenario, OFFICE) == []
