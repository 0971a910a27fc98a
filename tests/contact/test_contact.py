"""Writing to DPS Belong: stored before the thanks, mailed with Reply-To, anonymous if wished."""

import json
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.contact import service
from belong_mail.contact.jobs import SendMessage
from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.contact.service import MESSAGE_COLUMN, ContactData
from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.delivery.models import Delivery
from belong_mail.groups import mailbox
from belong_mail.leads import mailbox as shared_mailbox
from belong_mail.mail.message.template import slot
from tests.browser_client import Form, html_of, read, text_of
from tests.db_dump import dump_of
from tests.factories import group_named, retire

INBOX = "dps-belong@example.org"
STAFF = "ada@dpsk12.org"
OTHERS = "2345-6789"


def rows(scenario) -> list[ContactMessage]:
    return scenario.query(select(ContactMessage).order_by(ContactMessage.id))


WORDS = "We need an interpreter on Tuesday."


def opened(scenario) -> dict[str, str]:
    [row] = rows(scenario)
    written: dict[str, str] = json.loads(scenario.keyring.opener.open(row.sealed, MESSAGE_COLUMN))
    return written


def the_mail(scenario):
    [mail] = scenario.mails(INBOX)
    return mail


def test_a_message_without_name_and_address_keeps_no_trace_of_its_writer(visitor, scenario):
    visitor.headers |= {
        "User-Agent": "Canary/7.7",
        "X-Forwarded-For": "198.51.100.77",
        "Accept-Language": "en-CA",
    }
    visitor.client.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    assert visitor.send("/contact", topic="concern", message=WORDS).status_code == 200
    assert opened(scenario) == {
        "topic": "concern",
        "message": WORDS,
        "name": "",
        "address": "",
        "to": "",
        "language": "en",
        "thread": rows(scenario)[0].reference,
    }
    columns = {column.key for column in ContactMessage.__table__.columns}
    assert columns == {"id", "reference", "group_id", "sealed", "received_at"}
    mail = the_mail(scenario)
    assert mail["Reply-To"] is None
    assert "gave no email address" in text_of(mail)
    for seen in (repr(dump_of(scenario.services)), mail.as_string(), text_of(mail), html_of(mail)):
        for trace in ("Canary", "198.51.100.77", "203.0.113.77", "en-CA"):
            assert trace not in seen


def test_the_message_is_kept_sealed_before_the_thanks_and_the_inbox_gets_all_of_it(
    visitor, scenario
):
    typed = {"topic": "access", "message": f"{WORDS}\r\n\r\nThank you\u00a0— Ada", "name": "Ada L"}
    answer = visitor.send("/contact", email="Ada@DPSK12.org", **typed)
    assert answer.status_code == 303
    [row] = rows(scenario)
    assert answer.location == f"/contact/received/{row.reference}"
    page = visitor.open(answer.location)
    assert row.reference in page.text
    assert WORDS not in page.text
    for unknown in ("2222-2222", row.reference.lower(), "x", "%00", "K7QM-2XR\u00d6", "9" * 9999):
        assert visitor.open(f"/contact/received/{unknown}").status_code == 404
    assert opened(scenario) == {
        "topic": "access",
        "message": typed["message"],
        "name": "Ada L",
        "address": "Ada@dpsk12.org",
        "to": "",
        "language": "en",
        "thread": "",
    }
    raw = repr(dump_of(scenario.services))
    for word in ("interpreter", "Ada L", "Ada@"):
        assert word not in raw
    mail = the_mail(scenario)
    assert mail["Reply-To"] == "Ada@dpsk12.org"
    assert mail["From"] == "DPS Belong <belong@example.org>"
    assert mail["Cc"] is None
    assert row.reference in mail["Subject"]
    assert "Interpreter, captions, or accessibility" in mail["Subject"]
    for part in (text_of(mail), read(unescape(html_of(mail)))):
        for words in (row.reference, "Ada L", "Ada@dpsk12.org", WORDS, "Thank you — Ada"):
            assert words in part
    assert [one.recipient for one in scenario.relay.accepted] == [INBOX, "Ada@dpsk12.org"]


BAD: tuple[dict[str, str], ...] = (
    {"message": ""},
    {"message": "   \r\n "},
    {"message": "a" * 5001},
    {"message": "a\u202eb"},
    {"topic": "nonsense"},
    {"topic": ""},
    {"name": "a" * 101},
    {"email": "ada"},
    {"email": "=?utf-8?q?=0ABcc=3A_x=40example.org?=@example.org"},
)


def test_an_invalid_message_is_explained_and_its_other_fields_are_kept(visitor, scenario):
    assert Form(visitor.open("/contact").text).fields["topic"] == "", "none is chosen beforehand"
    good = {"topic": "event", "message": WORDS, "name": "Ada", "email": "ada@example.org"}
    for typed in BAD:
        answer = visitor.send("/contact", **good | typed)
        assert answer.status_code == 422, typed
        kept = Form(answer.text).fields
        wanted = {name: value for name, value in good.items() if name not in typed}
        assert {name: kept[name] for name in wanted} == wanted, typed
        assert "Problem: Write to DPS Belong" in answer.text
    assert rows(scenario) == []


HELP = {
    "BELONG_HELP_LINES": (
        "Tell us 800-555-0101 https://tell.example.org, Line 555 https://lifeline.example.org"
    ),
    "BELONG_CONTACT_INBOX": INBOX,
}


@pytest.mark.parametrize("settings", [HELP])
def test_help_lines_and_the_offices_inbox_are_on_the_page_and_in_the_email(visitor, scenario):
    page = visitor.open("/contact").text
    for link in (
        "tel:911", "tel:800-555-0101", "https://tell.example.org", "tel:555",
        "https://lifeline.example.org", f"mailto:{INBOX}",
    ):  # fmt: skip
        assert f'href="{link}"' in page
    for words in (
        "No one watches this inbox around the clock",
        "The office may have to act on what you write",
        "If you write to the office, you’ll get a code",
    ):
        assert words in page
    visitor.send("/contact", topic="concern", message="Help", email=STAFF)
    [mail] = scenario.mails(STAFF)
    for part in (text_of(mail), html_of(mail)):
        for words in ("911", "800-555-0101", "tell.example.org", "555", "lifeline.example", INBOX):
            assert words in part
    assert "tel:" not in text_of(mail)


# Writing to a group's leads, and the word that a message has arrived.


SHARED = "village-leads@dpsk12.org"
VILLAGE = "the-village"
ADA = "ada@dpsk12.org"


@pytest.fixture(autouse=True)
def shared(scenario) -> str:
    with scenario.services.writing.begin() as session:
        mailbox.wrap_mailbox(scenario.keyring.opener, group_named(session, VILLAGE), SHARED)
    return SHARED


def write(visitor, to: str = "", **typed: str) -> str:
    """Write a message and return the page that thanks for it."""
    answer = visitor.send("/contact", to=to, topic="need", message=WORDS, **typed)
    if not to and not typed.get("email"):
        assert answer.status_code == 200
        return answer.text
    assert answer.status_code == 303
    return visitor.open(answer.location).text


def recipients(scenario) -> list[str]:
    scenario.worker.drain()
    return sorted(each.recipient for each in scenario.relay.accepted)


def states(scenario, kind: str) -> list[str]:
    found = select(Delivery.state).where(Delivery.kind == kind).order_by(Delivery.id)
    return scenario.query(found)


def test_the_office_and_the_open_groups_with_a_mailbox_can_be_chosen(visitor, scenario):
    with scenario.services.writing.begin() as session:
        mailbox.wrap_mailbox(scenario.keyring.opener, group_named(session, "autoimmune"), SHARED)
    page = visitor.open("/contact").text
    assert "The Belong office</option>" in page
    assert "The leaders of The Village Belong Group</option>" in page
    for other in ("Asian", "Autoimmune"):
        assert f"The leaders of the {other}" not in page
    scenario.do(retire, VILLAGE)
    assert "The leaders of" not in visitor.open("/contact").text


def test_a_message_to_leads_goes_to_their_mailbox_alone_and_every_page_says_so(visitor, scenario):
    page = write(visitor, VILLAGE, email="ada@example.org")
    assert "on its way to the inbox that the leaders of The Village Belong Group share" in page
    assert "Belong office’s inbox" not in page
    assert recipients(scenario) == [SHARED]
    [mail] = scenario.relay.to(SHARED)
    assert mail["Reply-To"] == "ada@example.org"
    assert "Village" not in mail["Subject"]
    for part in (text_of(mail), html_of(mail)):
        assert "A message for the leaders of The Village Belong Group" in part
        assert WORDS in part
        assert "no longer have a shared inbox" not in part
    assert "village-leads" not in repr(dump_of(scenario.services))
    write(visitor, VILLAGE)
    with scenario.services.writing.begin() as session:
        shared_mailbox.remove_mailbox(session, group_named(session, VILLAGE))
    assert recipients(scenario) == [INBOX, SHARED], "without a mailbox no message is lost"
    assert "no longer have a shared inbox" in text_of(scenario.relay.to(INBOX)[0])


@pytest.mark.parametrize(
    ("to", "email", "said"),
    [
        ("", ADA, "answer at the email address you gave"),
        (VILLAGE, ADA, "answer at the email address you gave"),
        (VILLAGE, "", "so the group leaders can’t answer you"),
        ("", "", "The office posts its answer where only your code opens it"),
    ],
)
def test_the_page_says_only_what_happens_next_with_this_message(visitor, to, email, said):
    page = write(visitor, to, email=email)
    sentences = {
        "answer at the email address you gave",
        "so the group leaders can’t answer you",
        "The office posts its answer where only your code opens it",
    }
    assert {each for each in sentences if each in page} == {said}


@pytest.mark.parametrize("to", ["asian", "nowhere", "The-Village", "x" * 5000, "'; --", "\x00"])
def test_a_message_to_a_group_that_takes_none_is_refused_and_no_word_is_lost(visitor, scenario, to):
    answer = visitor.send("/contact", to=to, topic="need", message=WORDS)
    assert answer.status_code == 422
    assert "You can’t message these leaders here." in answer.text
    assert WORDS in answer.text
    assert dump_of(scenario.services)["contact_messages"] == []


@pytest.mark.parametrize(
    ("to", "row_says", "gets"), [("", VILLAGE, INBOX), (VILLAGE, "asian", SHARED)]
)
def test_a_changed_or_forged_row_redirects_no_message(visitor, scenario, to, row_says, gets):
    write(visitor, to)
    assert scenario.worker.read_jobs()
    with scenario.services.writing.begin() as session:
        message = session.scalars(select(ContactMessage)).one()
        message.group_id = group_named(session, row_says).id
        forged = scenario.services.sealer.seal(b"mallory@example.org", "deliveries.sealed_to")
        session.add(Delivery(kind="contact-message", sealed_to=forged, about_id=message.id))
    assert recipients(scenario) == [gets, gets]


def test_a_message_names_the_thread_of_its_own_writer_alone(visitor, scenario):
    """Whoever holds the code of another thread would read the answer."""
    write(visitor)
    [message] = rows(scenario)
    with scenario.services.writing.begin() as session:
        session.add(Thread(reference=OTHERS, receipt_key=b"key", topic="need"))
        session.add(ContactMessage(reference=OTHERS, sealed=message.sealed))
    scenario.seal(SendMessage(OTHERS))
    mails = scenario.mails(INBOX)
    assert [message.reference in mail["Subject"] for mail in mails] == [True, True]
    assert OTHERS not in "".join(map(html_of, mails))


def test_a_writer_of_the_staff_is_told_without_a_word_of_the_message(visitor, scenario):
    write(visitor, VILLAGE, email=ADA, name="Ada Lovelace")
    assert recipients(scenario) == [ADA, SHARED]
    [mail] = scenario.relay.to(ADA)
    [reference] = scenario.query(select(ContactMessage.reference))
    assert reference in mail["Subject"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Reply-To"] is None
    for part in (text_of(mail), html_of(mail), mail.as_string()):
        for word in ("interpreter", "Lovelace", "Village"):
            assert word not in part
    for words in (reference, "answer at this email address", "don’t repeat", "911"):
        assert words in text_of(mail)


@pytest.mark.parametrize("settings", [{"BELONG_REFUSED_LOCAL_PARTS": "[0-9]+"}])
def test_neither_a_writer_outside_the_staff_nor_a_suppressed_address_is_told(visitor, scenario):
    scenario.suppress(ADA)
    others = ("", "ada@example.org", "ada@dpsk12.org.example.org", "ada7@dpsk12.org", ADA)
    for address in others:
        write(visitor, email=address)
    assert recipients(scenario) == [INBOX] * len(others)
    assert states(scenario, "contact-received") == []


def test_an_address_is_told_once_a_day_and_again_the_next(visitor, scenario):
    for typed in (ADA, "ADA@dpsk12.org", "ada+news@dpsk12.org"):
        write(visitor, email=typed)
    assert recipients(scenario) == [ADA, INBOX, INBOX, INBOX]
    assert states(scenario, "contact-received") == ["accepted"]
    for each in range(2):
        with scenario.services.writing.begin() as session:
            message = session.scalars(select(ContactMessage)).all()[each]
            SendMessage(message.reference).ask(session, scenario.services.sealer)
    assert recipients(scenario) == [ADA, INBOX, INBOX, INBOX], "asked for again, sent once"
    with time_machine.travel(now() + timedelta(hours=25), tick=True):
        visitor.send("/contact?lang=es", topic="need", message="Hola", email=ADA)
        scenario.worker.drain()
    [_, mail] = scenario.relay.to(ADA)
    assert "Recibirás la respuesta en este correo" in text_of(mail), "in the page’s language"
    assert "answer at this email address" not in html_of(mail)


def ask_for_words(scenario, reference: str, *addresses: str) -> None:
    """Write messages in the name of addresses, as the web's process can."""
    for letter, address in zip(service.ALPHABET, addresses, strict=False):
        own = reference.format(letter)
        scenario.do(
            service.receive,
            scenario.services.sealer,
            own,
            ContactData("need", WORDS, address=address),
            now(),
        )


def test_an_unrenderable_reference_does_not_reveal_which_address_is_suppressed(scenario):
    """Else the books would say who has asked never to be emailed."""
    scenario.suppress(ADA)
    ask_for_words(scenario, slot("first_name") + "{}", ADA, "ben@dpsk12.org")
    assert recipients(scenario) == []
    assert states(scenario, "contact-received") == []


def test_no_word_of_the_webs_own_stands_in_the_subject_of_a_message(scenario):
    with scenario.services.writing.begin() as session:
        for reference, topic, thread in (
            ("2345-6789", "About LGBTQ+", ""),
            ("2345-678B", "need", "LGBTQ+"),
        ):
            written = ContactData(topic, WORDS, thread=thread)
            service.receive(session, scenario.services.sealer, reference, written, now())
    assert [mail["Subject"] for mail in scenario.mails(INBOX)] == [
        "Message 2345-6789: Another message"
    ]


@pytest.mark.usefixtures("clock")
def test_guesses_that_ask_for_the_receipt_email_are_limited_like_other_lookups(scenario):
    guesses = [f"guess{number}@dpsk12.org" for number in range(2, 9)]
    with time_machine.travel(now(), tick=False):  # else a busy machine has more lookups meanwhile
        scenario.do(jobs.count_lookups, rate_limits.LOOKUPS_PER_MINUTE.burst - 2, now())
        ask_for_words(scenario, "2345-678{}", "", "", *guesses)
        scenario.worker.drain()
    told = [one for one in scenario.relay.accepted if one.recipient.startswith("guess")]
    assert 0 < len(told) < len(guesses)
    assert len(scenario.relay.to(INBOX)) == len(guesses) + 2
