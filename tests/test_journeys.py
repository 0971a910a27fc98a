"""The journeys from end to end: real app, real database, real mail."""

from tests.browser_client import html_of, link_to, text_of
from tests.factories import make_member, members_of, queue_issue
from tests.markers import on_both

pytestmark = on_both("journeys")


def test_a_teacher_joins_and_confirms(visitor, worker, relay, services):
    answer = visitor.join("the-village", " Ada@dpsk12.org ")
    assert answer.location.startswith("/check-your-inbox/")

    worker.drain()
    [mail] = relay.to("Ada@dpsk12.org")
    assert mail["Subject"] == "Confirm your request to DPS Belong"
    assert "The Village" in text_of(mail)

    link = link_to(mail, "confirm")
    assert "Join The Village Belong Group" in visitor.open(link).text
    with services.reading.begin() as session:
        assert members_of(session, "the-village") == 0

    assert "You’re in" in visitor.follow(link).text
    with services.reading.begin() as session:
        assert members_of(session, "the-village") == 1

    worker.drain()
    [_, welcome] = relay.to("Ada@dpsk12.org")
    assert "The Village" in text_of(welcome)
    assert "The Village" in html_of(welcome)


def test_a_member_gets_a_newsletter_and_leaves_with_one_click(
    visitor, worker, relay, services, keyring
):
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        queue_issue(session)
    worker.drain()
    [mail] = relay.to("ada@dpsk12.org")
    assert mail["Subject"] == "This month with us"
    assert "Hello, everybody." in text_of(mail)

    one_click = mail["List-Unsubscribe"].strip("<>")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert visitor.press(one_click, **{"List-Unsubscribe": "One-Click"}).status_code == 204
    with services.reading.begin() as session:
        assert members_of(session, "the-village") == 0


def test_a_person_writes_to_the_office(visitor, worker, relay):
    answer = visitor.send(
        "/contact",
        name="Ada Lovelace",
        email="ada@dpsk12.org",
        topic="need",
        message="We need an interpreter.",
    )
    page = visitor.open(answer.location).text
    reference = answer.location.rpartition("/")[2].partition("?")[0]
    assert reference in page

    worker.drain()
    [mail] = relay.to("dps-belong@example.org")
    assert reference in mail["Subject"]
    assert mail["Reply-To"] == "ada@dpsk12.org"
    assert "We need an interpreter." in text_of(mail)
