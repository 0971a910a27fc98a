"""Nobody learns who waits for a group: not from pages, statements, rows, or others’ mail."""

from datetime import timedelta

import time_machine

from belong_mail.core.db import new_public_id, now
from belong_mail.core.tokens import Purpose
from tests.browser_client import Form, link_to, text_of
from tests.canary import found_in
from tests.clients import sign_in
from tests.db_dump import dump_of, kept_of
from tests.markers import periodic_tasks
from tests.members.waiting_list.upcoming import PATH, SOON, launch, wait_for
from tests.privacy.journey import cells_of
from tests.privacy.windows import COMMON, windows_of
from tests.scenario import ADA, VILLAGE

pytestmark = periodic_tasks

CANARY = "Kanarienvogel.Q7x@dpsk12.org"


def test_the_database_never_holds_who_waits(scenario):
    seen = []
    scenario.visitor.send(PATH, email=CANARY)
    seen.append(dump_of(scenario.services))
    scenario.worker.drain()
    seen.append(dump_of(scenario.services))
    launch(scenario)
    seen.append(dump_of(scenario.services))
    assert len(scenario.mails(CANARY)) == 1
    rows = b"\n".join(cells_of(seen))
    assert found_in(rows, [CANARY, CANARY.partition("@")[0]]) == []


def test_two_notes_of_one_person_have_nothing_in_common(scenario):
    wait_for(scenario)
    wait_for(scenario, slug="people-with-disabilities")
    one, other = dump_of(scenario.services)["waitlist_entries"]
    assert not windows_of(one) & windows_of(other)
    assert COMMON == 8


def test_the_web_with_its_keys_and_a_guess_opens_and_forgets_nothing(scenario):
    wait_for(scenario)
    before = kept_of(scenario.services)
    for name in (ADA, ADA.partition("@")[0], "1", new_public_id()):
        token = scenario.services.tokens.sign(Purpose.FORGET_NOTE, name, now())
        assert scenario.visitor.open(f"/forget-note/{token}").status_code == 410
        scenario.visitor.follow(f"/forget-note/{token}")
    assert kept_of(scenario.services) == before


def test_what_is_wrong_is_said_kindly_and_nothing_typed_is_lost(scenario):
    for typed, words in (
        ("", "Enter your email address."),
        ("ada", "Enter an email address like name@dpsk12.org."),
        ("ada@gmail.com", "Use your DPS email address"),
    ):
        answer = scenario.visitor.send(PATH, email=typed, language="es")
        assert answer.status_code == 422
        assert words in answer.text
        assert Form(answer.text).fields["email"] == typed
        assert Form(answer.text).fields["language"] == "es"
    late = scenario.visitor.send(PATH, email=ADA, csrf_token="old")
    assert "select the button again" in late.text
    trapped = scenario.visitor.send(PATH, email=ADA, trap="robot")
    assert Form(trapped.text).fields["email"] == ADA
    assert scenario.visitor.open("/groups/nowhere/tell-me").status_code == 404
    assert (scenario.rows("jobs"), scenario.rows("waitlist_entries")) == (0, 0)


def test_another_language_keeps_what_was_typed(scenario):
    answer = scenario.visitor.send(f"{PATH}?lang=es", email=ADA, switch_language="es")
    assert Form(answer.text).fields["email"] == ADA
    assert "Avísenme cuando empiece" in answer.text
    assert scenario.rows("jobs") == 0


def notes_in(mail_text: str) -> list[str]:
    return [word for word in mail_text.split() if "/forget-note/" in word]


def test_who_waits_can_take_it_back_by_a_mailed_link_that_asks_first(scenario):
    wait_for(scenario)
    scenario.visitor.send("/my-groups", email=ADA)
    [mail] = scenario.mails()
    [link] = notes_in(text_of(mail))
    assert "Autoimmune" in scenario.visitor.open(link).text
    assert scenario.rows("waitlist_entries") == 1
    assert "We canceled the notification" in scenario.visitor.follow(link).text
    assert scenario.rows("waitlist_entries") == 0
    assert scenario.visitor.follow(link).status_code == 200
    over = scenario.visitor.open(link)
    assert over.status_code == 410
    assert "This link is no longer needed" in over.text
    launch(scenario)
    assert len(scenario.mails()) == 1


def test_a_members_link_copy_erasing_and_move_know_the_note(scenario, visitor):
    scenario.enter()
    wait_for(scenario)

    def sheet(address: str = ADA) -> str:
        visitor.send("/my-groups", email=address)
        mail = scenario.mails(address)[-1]
        assert len(notes_in(text_of(mail))) == 1
        return link_to(mail, "my-groups").partition("?")[0]

    visitor.follow(f"{sheet()}/copy")
    waits = "You asked us to notify you when the Autoimmune Belong Group starts."
    assert waits in " ".join(text_of(scenario.mails()[-1]).split())
    new = "moved@dpsk12.org"
    visitor.send(f"{sheet()}/change-address", email=new)
    visitor.follow(link_to(scenario.mails(new)[-1], "change-address"))
    visitor.follow(f"{sheet(new)}/erase")
    scenario.worker.drain()
    visitor.send("/my-groups", email=new)
    assert notes_in(text_of(scenario.mails(new)[-1])) == []
    with time_machine.travel(now() + timedelta(days=2, minutes=2), tick=True):
        scenario.worker.drain()
    assert (scenario.rows("waitlist_entries"), scenario.rows("subscriptions")) == (0, 0)


def test_after_a_move_the_old_address_is_told_nothing_and_the_new_one_is(scenario):
    new = "moved@dpsk12.org"
    scenario.enter(slug=VILLAGE)
    wait_for(scenario)
    scenario.visitor.send("/my-groups", email=ADA)
    path = link_to(scenario.mails()[-1], "my-groups").partition("?")[0]
    scenario.visitor.send(f"{path}/change-address", email=new)
    scenario.visitor.follow(link_to(scenario.mails(new)[-1], "change-address"))
    before = len(scenario.mails())
    launch(scenario)
    assert len(scenario.mails()) == before
    assert "Autoimmune" in text_of(scenario.mails(new)[-1])


def test_a_lead_of_an_upcoming_group_reads_words(scenario):
    lead = sign_in(scenario.visitor.client.application, scenario.keyring, SOON)
    assert "Fewer than 10 people have asked about it so far." in lead.open("/lead/").text
    wait_for(scenario)
    assert "Fewer than 10 people have asked about it so far." in lead.open("/lead/").text
    for number in range(9):
        wait_for(scenario, f"person{number}@dpsk12.org")
    assert "Enough people are interested to start." in lead.open("/lead/").text
    page = lead.open("/lead/").text
    assert "This group hasn’t started." in page
    assert "A few members" not in page
    assert "Write a newsletter" not in page
