"""A mailbox whose server breaks, lies, hangs or is full: nothing is lost or counted twice."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.inbound import pipe
from belong_mail.inbound.models import InboundDigest, InboundMailbox
from belong_mail.monitoring.checks import CHECKS
from belong_mail.monitoring.measures import Site
from tests.database import execute, query
from tests.inbound.scenario import ADA, jobs_of, last_poll
from tests.markers import on_sqlite
from tests.monitoring.looking import wrong_names
from tests.processes import Forked, drain, running
from tests.servers.imap import drop, hang, say
from tests.waiting import wait_until

COMMANDS = ("CONNECT", "CAPABILITY", "LOGIN", "SELECT", "SEARCH", "FETCH", "MOVE", "LOGOUT")
pytestmark = on_sqlite


def message(number: int) -> bytes:
    return f"From: somebody@example.org\r\nSubject: {number}\r\n\r\nHello\r\n".encode()


def messages(first: int, number: int) -> list[bytes]:
    return [message(first + each) for each in range(number)]


def poll(worker) -> None:
    """Poll the mailbox now, and leave what it had unread."""
    assert worker._intake is not None
    worker._intake._poll()


def wait_for_command(scripted, verb: str, number: int, worker: Forked) -> None:
    wait_until(lambda: scripted.times[verb] >= number, worker.said)


def digests(services) -> int:
    return query(services, select(func.count(InboundDigest.id)))[0]


def taken(services) -> int:
    """Count the messages that were taken in: each was stored once."""
    with services.reading.begin() as session:
        assert jobs_of(session) == digests(services)
    return digests(services)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_a_connection_that_breaks_at_any_command_loses_and_doubles_nothing(
    *, worker, scripted, services, is_done
):
    put = 0
    for verb in COMMANDS:
        where = scripted.afterwards if is_done else scripted.script
        scripted.put(*messages(put, 3))
        put += 3
        number = scripted.times[verb] + (2 if verb == "FETCH" else 1)
        where[f"{verb} {number}"] = drop
        poll(worker)
        assert scripted.times[verb] >= number, verb
        poll(worker)
        assert (taken(services), len(scripted.read)) == (put, put), verb
        assert not scripted.messages, verb
    assert sorted(scripted.read) == sorted(messages(0, put))
    assert last_poll(services).failures == 0


def test_a_number_that_two_messages_have_or_that_is_given_again_hides_none(
    worker, scripted, services
):
    """A server that was restored has the same UIDVALIDITY and counts from an earlier number."""
    scripted.messages = [(5, message(1)), (5, message(2)), (9, message(3))]
    poll(worker)
    assert taken(services) == len(scripted.read) == 3
    scripted.messages = [(8, message(4)), (9, message(5)), (10, message(1))]
    poll(worker)
    assert taken(services) == 5
    assert scripted.messages == []


@pytest.mark.parametrize(
    "answer",
    [
        say("* 1 FETCH (UID 1 BODY[]<0> {999999999}", b"x" * 9_000_000),
        say("* 1 FETCH (UID 1 BODY[]<0> {" + "9" * 5_000 + "}"), say(b"* " + b"x" * 5_000_000),
        say(b"* OK still here\r\n" * 200_000), say("* BYE"), say("%s BAD What?"),
        say("%s NO [UNAVAILABLE] Later"), say(b"\xff\x00\r\n"),
        say("* 1 FETCH (UID 1 BODY[]<0> {-5}", "%s OK Done", "* OK"),
    ],
    ids=["literal", "digits", "line", "chatter", "bye", "bad", "no", "garbage", "negative"],
)  # fmt: skip
def test_an_answer_that_is_none_ends_the_poll_and_the_next_one_goes_on(
    worker, scripted, services, answer
):
    scripted.put(*messages(0, 2))
    scripted.script["FETCH 1"] = answer
    poll(worker)
    assert scripted.sent < 8_000_000
    poll(worker)
    assert taken(services) == len(scripted.read) == 2
    assert last_poll(services).failures == 0


def drip(conversation, _tag: str) -> bool:
    """Say one octet at a time, for ever."""
    while not conversation.server.stopping.wait(0.05):
        conversation.write(b"*")
    return False


@pytest.mark.parametrize("action", [hang, drip])
@pytest.mark.parametrize("verb", ["CONNECT", "FETCH"])
def test_a_server_that_hangs_or_drips_holds_up_no_email(scenario, scripted, action, verb):
    intake: Any = scenario.worker._intake
    intake.poll_seconds = 5.0
    scenario.add(ADA)
    scripted.put(message(1))
    scripted.script[verb] = action
    intake.poll_at = 0.0
    scenario.worker.step()
    assert intake.wait()
    scenario.issue()
    assert scenario.copies()
    while intake.wait():
        pass
    assert last_poll(scenario.services).failed_step == verb


def test_a_full_mailbox_is_emptied(worker, scripted, services):
    """Messages that could not be moved are deleted: else nothing more could come back."""
    scripted.put(*messages(0, 3))
    scripted.script["MOVE"] = say("%s NO [OVERQUOTA] Full")
    poll(worker)
    assert taken(services) == 3
    assert scripted.messages == []
    assert last_poll(services).failures == 0
    scripted.put(*messages(3, 2))
    scripted.script["MOVE 5"] = say("%s NO Not there")
    poll(worker)
    assert (taken(services), len(scripted.messages)) == (5, 1), "Another refusal deletes nothing."


def test_a_message_that_cannot_be_moved_is_read_once_and_holds_up_no_other(
    worker, scripted, services
):
    """However much of it is there: the newest is read first, and of the rest one again."""
    scripted.put(*messages(0, 9))
    scripted.script["MOVE"] = say("%s NO Not there")
    for number in range(4):
        scripted.put(message(10 + number))
        poll(worker)
    assert taken(services) == len(scripted.messages) == 13
    assert scripted.times["FETCH"] == 13 + 3
    assert last_poll(services).failed_step == "MOVE"
    del scripted.script["MOVE"]
    poll(worker)
    assert scripted.messages == []
    assert taken(services) == 13


def test_a_server_that_breaks_at_each_move_loses_nothing(worker, scripted, services):
    """Nor if it gives a number again meanwhile."""
    scripted.script["MOVE"] = drop
    for there in ([(1, message(0))], [(each, message(each)) for each in (1, 2, 3)]):
        scripted.messages = there
        for _ in range(9):
            poll(worker)
    assert len(scripted.messages) == 3
    del scripted.script["MOVE"]
    poll(worker)
    assert (taken(services), scripted.messages) == (4, [])


@pytest.mark.parametrize("offered", ["IMAP4rev1 UIDPLUS", "IMAP4rev1 MOVE"])
def test_a_server_that_cannot_take_out_what_was_read_is_not_used(
    worker, scripted, services, offered
):
    scripted.capabilities = offered
    scripted.put(message(0))
    poll(worker)
    assert (taken(services), last_poll(services).failed_step) == (0, "CAPABILITY")


def test_unsolicited_responses_between_the_answers_do_not_matter(worker, scripted, services):
    def chatter(conversation, _tag: str) -> bool:
        conversation.write(
            b"* 5 EXISTS\r\n* 1 FETCH (UID 2 FLAGS (\\Seen))\r\n* OK [ALERT] Hello\r\n"
            b"* 3 FETCH (UID 77 BODY[]<0> {5}\r\nother)\r\n* SEARCH 99\r\n"
        )
        return True

    scripted.put(*messages(0, 2))
    scripted.script |= dict.fromkeys(("FETCH", "MOVE", "SELECT"), chatter)
    poll(worker)
    assert taken(services) == 2
    assert sorted(scripted.read) == messages(0, 2)


def test_a_message_at_which_the_server_always_breaks_is_put_away_unread(worker, scripted, services):
    def break_at_two(conversation, _tag: str) -> bool:
        return drop(conversation, "") if conversation.server.commands[-1][6] == "2" else True

    scripted.put(*messages(0, 3))
    scripted.script["FETCH"] = break_at_two
    for _ in range(5):
        poll(worker)
    assert (taken(services), len(scripted.messages)) == (1, 2)
    poll(worker)
    assert (taken(services), scripted.messages) == (2, [])
    assert len(scripted.read) == 3
    del scripted.script["FETCH"]
    scripted.messages = [(2, message(7))]
    poll(worker)
    assert taken(services) == 3, "another message may have its number"


def test_messages_at_which_the_server_breaks_once_are_read_however_many_they_are(
    worker, scripted, services
):
    scripted.put(*messages(0, 6))
    for number in range(6):
        scripted.script[f"FETCH {1 + 2 * number}"] = drop
        poll(worker)
    scripted.script["LOGIN"] = drop
    for _ in range(9):
        poll(worker)
    del scripted.script["LOGIN"]
    poll(worker)
    assert (taken(services), scripted.messages) == (6, [])


def test_a_full_queue_leaves_messages_in_the_mailbox(worker, scripted, services):
    with services.writing.begin() as session:
        waiting = [{"kind": pipe.RETURNED, "sealed": b"x", "failures": 3}]
        session.execute(insert(Job), waiting * (pipe.MAX_WAITING - 1))
    scripted.put(*messages(0, 2))
    poll(worker)
    assert (digests(services), len(scripted.messages)) == (1, 1)
    assert last_poll(services).failed_step == "QUEUE"
    with services.writing.begin() as session:
        session.query(Job).delete()
    poll(worker)
    assert (digests(services), scripted.messages) == (2, [])


def test_an_operator_hears_when_it_was_not_read_for_an_hour(worker, scripted, services):
    scripted.script["LOGIN"] = say("%s NO [AUTHENTICATIONFAILED] No")
    poll(worker)
    almost, more = (now() - timedelta(minutes=each) for each in (59, 61))
    for noted, is_told in (
        ({"first_tried_at": almost}, False),
        ({"first_tried_at": more}, True),
        ({"looked_at": almost}, False),
        ({"looked_at": more, "failures": 0}, False),  # no poll has failed since
    ):
        execute(services, update(InboundMailbox).values(noted))
        assert ("inbound_seconds" in wrong_names(services)) is is_told
    [check] = [check for check in CHECKS if check.name == "inbound_seconds"]
    assert check.emails
    assert check.detail
    with services.reading.begin() as session:
        told = check.detail(Site(session, services.settings, now()))
    assert told == "Are the user and password, or the credentials, right?"


def test_a_worker_that_is_killed_at_each_step_loses_and_doubles_nothing(
    services, scripted, environment
):
    """By SIGKILL, in each of its waits for the server; the next worker looks at once."""
    scripted.put(*messages(0, 4))
    for verb, number in (("FETCH", 2), ("MOVE", 1)):
        scripted.script[f"{verb} {scripted.times[verb] + number}"] = hang
        asked = scripted.times[verb] + number
        with running(environment, "worker") as killed:
            wait_for_command(scripted, verb, asked, killed)
            killed.kill()
            killed.wait()
    drain(environment)
    assert (digests(services), scripted.messages) == (4, [])
    assert sorted(scripted.read) == messages(0, 4)
