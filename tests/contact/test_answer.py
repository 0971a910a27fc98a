"""Somebody without an address reads the office's answer with a code, and nobody else can."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from belong_mail.accounts.service import NotFound
from belong_mail.contact import threads
from belong_mail.contact.models import Thread, ThreadEntry
from belong_mail.core.db import now
from belong_mail.office import service as office_service
from belong_mail.ops.rooms import purge_all
from tests.browser_client import Form, html_of, links_in, text_of
from tests.contact.writing import AGAIN, ANSWERED, ASKED, CODE, write
from tests.db_dump import dump_of, kept_of
from tests.markers import on_both

INBOX = "dps-belong@example.org"
NOTHING = "We didn’t find anything for this code"


def answer(office, scenario, words: str = ANSWERED) -> None:
    """Answer on the page that the inbox's mail names."""
    [link] = [each for each in links_in(scenario.mails(INBOX)[-1]) if "/office/" in each]
    assert office.send(link, answer=words).status_code == 303


@on_both("journeys")
def test_a_writer_without_an_address_reads_the_answer_and_writes_again(visitor, office, scenario):
    code = write(visitor)
    page = visitor.send("/contact/answer", code=code)
    assert page.status_code == 200
    assert ASKED in page.text
    assert "no answer to your last message yet" in page.text
    answer(office, scenario)
    page = visitor.send("/contact/answer", code=code)
    assert ANSWERED in page.text
    assert "no answer to your last message yet" not in page.text
    fields = Form(page.text).fields | {"message": AGAIN}
    page = visitor.press("/contact/answer", **fields)
    assert "We’ve stored your message." in page.text
    assert Form(page.text).fields["message"] == "", "or it would be sent twice"
    assert [page.text.index(words) for words in (ASKED, ANSWERED, AGAIN)] == sorted(
        page.text.index(words) for words in (ASKED, ANSWERED, AGAIN)
    )
    first, second = scenario.mails(INBOX)
    assert ASKED in text_of(first)
    assert AGAIN in text_of(second)
    assert "Another message" in second["Subject"]
    reference = re.findall("[2-9A-Z]{4}-[2-9A-Z]{4}", first["Subject"])
    assert reference == re.findall("[2-9A-Z]{4}-[2-9A-Z]{4}", second["Subject"])
    answer(office, scenario, "<b>On Sundays</b> too.")
    shown = visitor.send("/contact/answer", code=code).text
    assert "&lt;b&gt;On Sundays&lt;/b&gt; too." in shown
    assert re.findall(r">(You|The office), ", shown) == ["You", "The office"] * 2


def test_wrong_codes_of_every_kind_get_one_answer(visitor, scenario):
    code = write(visitor)
    over = write(visitor)
    with scenario.services.writing.begin() as session:
        threads.find_thread(session, over).last_at = now() - timedelta(days=30, minutes=1)
    wrong = ("x", "0000", over, code[:-1], code[:-1] + ("2" if code[-1] != "2" else "3"), "ñ" * 20)
    pages = []
    for typed in wrong:
        answer = visitor.send("/contact/answer", code=typed)
        assert answer.status_code == 422
        assert NOTHING in answer.text
        assert ASKED not in answer.text
        hidden = re.sub(r'name="csrf_token"[^>]*value="[^"]*"', "", answer.text)
        pages.append(hidden.replace(f'value="{typed}"', ""))
    assert len(set(pages)) == 1
    fields = Form(visitor.send("/contact/answer", code=code).text).fields
    fields |= {"code": "2222-2222-2222-2222-2222", "switch_language": "es"}
    answer = visitor.press("/contact/answer?lang=es", **fields)
    assert answer.status_code == 422
    assert ASKED not in answer.text, "nor does the language button open anything"


def test_the_code_is_shown_once_and_stands_nowhere(visitor, office, scenario):
    code = write(visitor)
    answer(office, scenario)
    held = repr(dump_of(scenario.services))
    for words in (code, code.replace("-", ""), ASKED, ANSWERED):
        assert words not in held
    [mail] = scenario.relay.to(INBOX)
    assert code not in text_of(mail) + html_of(mail) + mail.as_string()
    [reference] = scenario.query(select(Thread.reference))
    sealed = scenario.query(select(ThreadEntry.sealed))
    assert code not in visitor.open(f"/contact/received/{reference}").text
    assert "Set-Cookie" not in visitor.send("/contact/answer", code=code).headers
    for entry in sealed:
        with pytest.raises(Exception, match="thread_entries"):
            scenario.keyring.opener.open(entry, f"{threads.ENTRY_COLUMN}/{reference}")


def test_codes_differ_hold_enough_and_are_easy_to_copy(visitor):
    codes = {threads.new_code() for _ in range(200)}
    assert len(codes) == 200
    letters = set("".join(codes)) - {"-"}
    assert not letters & set("01OILU"), "letters that look alike"
    assert len(letters) ** threads.CODE_LENGTH > 2**95
    code = write(visitor)
    for typed in (code.lower(), f"  {code.replace('-', ' ')} ", code.replace("-", "")):
        assert ASKED in visitor.send("/contact/answer", code=typed).text


def test_the_office_sees_threads_and_never_their_words(visitor, office, scenario):
    write(visitor)
    [reference] = scenario.query(select(Thread.reference))
    assert 'href="/office"' in office.open("/lead/").text
    page = office.open("/office").text
    assert reference in page
    assert "Needs an answer" in page
    assert "Answer again" not in office.open(f"/office/threads/{reference}").text
    answer(office, scenario)
    assert "Answer again" in office.open(f"/office/threads/{reference}").text
    for path in ("/office", f"/office/threads/{reference}"):
        page = office.open(path).text
        assert ASKED not in page
        assert ANSWERED not in page
    assert "Nothing is waiting for you." in office.open("/office").text.partition("Answered: 1")[0]
    for wrong in ("", " ", "a" * 5001, "a\u202eb"):
        assert office.send(f"/office/threads/{reference}", answer=wrong).status_code == 422


def test_the_thread_that_waits_longest_for_an_answer_is_listed_first(visitor, office, scenario):
    with time_machine.travel(now() - timedelta(hours=1)):
        write(visitor)
    write(visitor)
    references = select(Thread.reference).order_by(Thread.id)
    _, answered = scenario.query(references)
    office.send(f"/office/threads/{answered}", answer="Yes.")
    write(visitor)
    long, _, short = scenario.query(references)
    page = office.open("/office").text
    assert 0 < page.index(long) < page.index(short) < page.index(answered)


def test_a_thread_dies_thirty_days_after_its_last_message(visitor, scenario):
    code = write(visitor)
    later = time_machine.travel(now() + timedelta(days=20), tick=True)
    with later, scenario.services.writing.begin() as session:
        thread = threads.find_thread(session, code)
        threads.add_entry(session, thread, ANSWERED, is_office=True)
    for days, is_there in ((49, True), (51, False)):
        with time_machine.travel(now() + timedelta(days=days), tick=True):
            page = visitor.send("/contact/answer", code=code)
            assert (ANSWERED in page.text) is is_there
            with scenario.services.writing.begin() as session:
                if not is_there:
                    with pytest.raises(NotFound):
                        office_service.find(session, thread.reference)
                purge_all(session)
                assert session.scalar(select(func.count(Thread.id))) == int(is_there)
                assert session.scalar(select(func.count(ThreadEntry.id))) == 2 * int(is_there)


def test_words_that_were_moved_into_another_thread_are_not_shown(visitor, scenario):
    code, other = write(visitor), write(visitor)
    with scenario.services.writing.begin() as session:
        mine, theirs = threads.find_thread(session, code), threads.find_thread(session, other)
        for entry in threads.thread_entries(session, theirs):
            entry.thread_id = mine.id
        session.flush()
        assert len(threads.read_entries(session, mine, code)) == 1
    assert visitor.send("/contact/answer", code=other).status_code == 200, "where none is left"


def test_an_error_in_a_further_message_is_explained_and_nothing_is_lost(visitor, scenario):
    code = write(visitor)
    fields = Form(visitor.send("/contact/answer", code=code).text).fields
    long = "a" * 5001
    page = visitor.press("/contact/answer", **fields | {"message": long})
    assert page.status_code == 422
    assert "Use at most 5,000 characters." in page.text
    assert long in page.text
    assert code in page.text
    switched = visitor.press(
        "/contact/answer?lang=es", **fields | {"message": AGAIN, "switch_language": "es"}
    )
    assert "Tus mensajes" in switched.text
    assert ASKED in switched.text
    kept = Form(switched.text).fields
    assert {name: kept[name] for name in ("code", "message")} == {"code": code, "message": AGAIN}
    assert len(dump_of(scenario.services)["thread_entries"]) == 1


def test_the_page_that_shows_a_code_once_shows_it_in_another_language_too(visitor, scenario):
    page = visitor.send("/contact", topic="access", message=ASKED).text
    [code], before = CODE.findall(page), kept_of(scenario.services)
    [action] = re.findall(r'formaction="([^"]+)"[^>]*>Español', page)
    assert action == "/contact/answer?lang=es", "no URL holds the code"
    spanish = visitor.press(action, **Form(page).fields, switch_language="es")
    assert "Tu código" in spanish.text
    assert CODE.findall(spanish.text) == [code]
    assert kept_of(scenario.services) == before
    fields = Form(spanish.text).fields
    assert fields["reference"] in page
    assert ASKED in visitor.press("/contact/answer", **fields).text


def test_many_looks_at_once_are_put_off_with_a_time(visitor):
    code = write(visitor)
    visitor.client.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    fields = Form(visitor.open("/contact/answer").text).fields | {"code": code}
    with time_machine.travel(now(), tick=False):
        codes = [visitor.press("/contact/answer", **fields).status_code for _ in range(30)]
        late = visitor.press("/contact/answer", **fields)
    assert set(codes) == {200}
    assert (late.status_code, late.headers["Retry-After"]) == (429, "300")
    assert "what you typed isn’t lost" in late.text
