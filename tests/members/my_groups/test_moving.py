"""A member takes their groups to a new address: confirmed there, told to the old one."""

from datetime import timedelta

import time_machine
from sqlalchemy import func, select

from belong_mail.core.db import now
from belong_mail.core.rate_limits import Limit
from belong_mail.members import service as members
from belong_mail.members.jobs import MoveAddress
from belong_mail.members.models import AddressChange, Subscription
from tests.browser_client import html_of, text_of
from tests.markers import on_both
from tests.scenario import ADA

NEW = "ada.king@dpsk12.org"


@on_both("journeys")
def test_groups_move_once_the_new_address_has_confirmed(mine):
    sheet = mine.sheet()
    assert "All your groups move at the same moment." in mine.open(f"{sheet}/change-address").text
    url = mine.ask_to_move(sheet, NEW)
    assert (
        "works for one day" in mine.open(url.replace("/change-address/", "/change-address/x")).text
    )
    [asked] = mine.relay.to(NEW)
    for words in (str(asked["Subject"]), text_of(asked), html_of(asked)):
        assert "Village" not in words
        assert ADA not in words
    page = mine.open(url).text
    assert "Use this email address from now on" in page
    assert "@" not in page.partition("<main")[2].partition("</main>")[0]
    mine.worker.drain()
    mine.send_issue()
    assert mine.relay.to(ADA)[-1]["Subject"] == "This month with us"

    assert "confirmed" in mine.follow(url).text
    told = mine.mails()[-1]
    for words in (str(told["Subject"]), text_of(told), html_of(told)):
        assert "Village" not in words
        assert "ada.king" not in words
    with time_machine.travel(now() + timedelta(minutes=1)):
        mine.send_issue()
        assert mine.relay.to(NEW)[-1]["Subject"] == "This month with us"
        assert mine.relay.to(ADA)[-1]["Subject"] == told["Subject"]
        page = mine.open(mine.link(NEW)).text
    assert "The Village" in page
    assert "LGBTQ" in page


def test_nobody_moves_to_an_address_that_has_not_confirmed(mine):
    mine.ask_to_move(mine.sheet(), NEW)
    with mine.services.writing.begin() as session:
        change = session.scalars(select(AddressChange)).one()
        change.confirmed_at = now()  # by the web alone: the secret stands in the new mailbox
        MoveAddress(change.public_id).ask(session, mine.services.sealer)
    before = len(mine.relay.to(ADA))
    assert len(mine.mails()) == before
    assert len(mine.relay.to(NEW)) == 1
    assert (mine.members(), mine.is_member(NEW)) == (1, False)


def test_an_address_in_another_spelling_keeps_what_its_owner_waits_for(mine):
    sheet = mine.sheet()
    mine.wait_for()
    mine.follow(mine.ask_to_move(sheet, "Ada@dpsk12.org"))
    mine.send_issue()
    assert mine.relay.to("Ada@dpsk12.org")[-1]["Subject"] == "This month with us"
    assert mine.rows("waitlist_entries") == 1


def test_typing_somebodys_address_as_a_new_one_delays_nothing_for_its_owner(mine):
    """Each change took eight hours from the confirmations of whoever owns the address."""
    path = mine.sheet()
    for _ in range(20):
        assert mine.send(f"{path}/change-address", email=NEW).status_code == 303
    assert len(mine.mails(NEW)) == 3
    mine.visitor.join("the-village", NEW)
    assert mine.mails(NEW)[-1]["Subject"] == "Confirm your request to DPS Belong"
    with time_machine.travel(now() + timedelta(days=2)):
        assert len(mine.mails(NEW)) <= 3 + 3 + 1


def test_the_old_links_are_dead_once_the_address_has_moved(mine):
    """Readers of the old mailbox see nothing more there, and can do nothing."""
    first = mine.sheet()
    second = mine.link()
    url = mine.ask_to_move(first, NEW)
    assert mine.open(second).status_code == 200
    slip = mine.slip(second)
    mine.press(url)
    mine.worker.drain()
    for old in (first, second):
        answers = [mine.open(f"{old}{page}") for page in ("", "/erase", "/change-address")]
        for answer in (*answers, mine.follow(f"{old}/copy"), mine.follow(f"{old}/erase")):
            assert answer.status_code == 404
            assert "Village" not in answer.text
            assert "Moved your groups? Ask for a new link with your new address." in answer.text
        guessed = mine.open("/my-groups/guessed").text
        assert guessed.replace("guessed", old.rpartition("/")[2]) == answers[0].text
    mine.ask_by_slip(slip, "my-copy", "change-address", "erase")
    mine.worker.drain()
    assert mine.members("the-village") == mine.members("lgbtq") == 1
    assert mine.subjects(NEW) == ["Confirm your new email address"]
    assert mine.relay.to("mallory@dpsk12.org") == []
    assert mine.open(mine.link(NEW)).status_code == 200


def test_a_group_that_was_just_left_does_not_keep_the_old_link_alive(mine):
    """It could be joined again there, by whoever reads the old mailbox."""
    path, village, _lgbtq = mine.belong("the-village", "lgbtq")
    url = mine.ask_to_move(path, NEW)
    mine.press(f"{path}/leave", membership=village)
    left = select(Subscription.wrapped_address).where(Subscription.public_id == village)
    before = mine.query(left)
    mine.press(url)
    assert mine.open(path).status_code == 200
    mine.worker.drain()
    assert mine.open(path).status_code == 404
    assert mine.press(f"{path}/undo", membership=village).status_code == 404
    assert mine.members("the-village") == 0
    assert mine.query(left) == before, "what was left in the meantime does not move"


def test_a_used_link_says_that_it_is_done_moves_once_and_tells_once(mine):
    url = mine.ask_to_move(mine.sheet(), NEW).partition("?")[0]
    assert "<form" in mine.open(url).text.partition("<main")[2].partition("</main>")[0]
    mine.press(url)
    mine.press(url)
    assert mine.rows("jobs") == 1
    for _ in range(2):
        page = mine.open(url)
        assert page.status_code == 200
        assert "You already confirmed this email address" in page.text
        assert "<form" not in page.text.partition("<main")[2].partition("</main>")[0]
        mine.worker.drain()
    assert mine.query(select(AddressChange.wrapped))[0] == b""
    assert "confirmed" in mine.follow(url).text
    assert mine.subjects().count("Your email address for DPS Belong was changed") == 1


def test_a_change_that_was_asked_for_before_another_moves_nothing_away_again(mine):
    path = mine.sheet()
    older = mine.ask_to_move(path, "older.wish@dpsk12.org")
    mine.press(mine.ask_to_move(path, NEW))
    mine.worker.drain()
    mine.press(older)
    mine.worker.drain()
    with time_machine.travel(now() + timedelta(minutes=1)):
        mine.send_issue()
    assert mine.relay.to(NEW)[-1]["Subject"] == "This month with us"
    assert len(mine.relay.to("older.wish@dpsk12.org")) == 1


def test_only_a_staff_address_is_taken_and_of_members_alone(mine):
    """A personal address is not taken, so nothing says that groups could move to one."""
    path, village = mine.belong("the-village")
    page = mine.open(path).text
    assert "they can’t move to a personal email address" in page
    assert f"{path}/change-address" in page
    for new in ("", "   ", "ada", "ada@example.org", "a@b@dpsk12.org", "x" * 300):
        answer = mine.send(f"{path}/change-address", email=new)
        assert answer.status_code == 422, new
        assert "<title>Problem" in answer.text
    mine.press(f"{path}/leave", membership=village)
    assert f"{path}/change-address" not in mine.open(path).text
    mine.worker.drain()
    assert len(mine.relay.accepted) == 1


def test_a_new_address_that_wants_no_mail_gets_none(mine):
    """Nor do groups move to one that said so after it was asked."""
    path, asked = mine.sheet(), "asked@dpsk12.org"
    url = mine.ask_to_move(path, asked)
    for address in (NEW, asked):
        mine.suppress(address)
    used = select(func.sum(Limit.used_until))
    before = mine.query(used)
    answer = mine.send(f"{path}/change-address", email=NEW)
    assert answer.status_code == 303
    assert mine.query(used) > before, "its source has used a form"
    assert mine.mails(NEW) == []
    mine.press(url)
    mine.worker.drain()
    assert mine.open(path).status_code == 200, "the old address keeps its groups"


def test_two_memberships_of_one_group_become_one_and_one_that_has_ended_gives_way(mine):
    stays, ended = mine.join(NEW, "the-village", "lgbtq")
    mine.do(members.leave, ended)
    mine.press(mine.ask_to_move(mine.sheet(), NEW))
    mine.worker.drain()
    spelled = "Ada.King@dpsk12.org"
    mine.press(mine.ask_to_move(mine.link(NEW), spelled))
    mine.worker.drain()
    assert stays in mine.query(select(Subscription.public_id))
    assert (mine.members("the-village"), mine.members("lgbtq")) == (1, 1)
    assert mine.rows("subscriptions") == 2
    with time_machine.travel(now() + timedelta(minutes=1)):
        mine.send_issue()
    assert mine.subjects(spelled).count("This month with us") == 1, "another spelling is a change"
