"""The conversation with a relay: what became of a message is known, whatever goes wrong."""

import select
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import pytest

from belong_mail.mail.address import InvalidAddress
from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.smtp.connection import MAX_REPLY_LINE, RelayUnavailable, SmtpConnection
from belong_mail.mail.smtp.replies import ReplyClass, classify_reply
from belong_mail.mail.smtp.session import MAX_TRANSACTIONS
from belong_mail.mail.smtp.transport import SmtpTransport
from tests.at_once import at_once
from tests.letters import MESSAGE, letter
from tests.mail.conftest import PATIENCE, relay_at
from tests.mail.hand import AnswerLost, Hand
from tests.servers.actions import Action
from tests.servers.smtp import Server, drip, drop, hang, reset, write
from tests.waiting import SECONDS, wait_until

COPY = letter()

FAULTS: dict[str, Action] = {
    "drop": drop(),
    "reset": reset,
    "hang": hang(),
    "half a reply": drop(b"25"),
    "half a line": drop(b"250 2.0.0 O"),
    "garbage": drop(b"\x16\x03\x01\x00\xff\xfe hello\r\n"),
    "another protocol": drop(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a code of four digits": drop(b"2500 Ok\r\n"),
    "two codes in one reply": drop(b"550-No\r\n250 Ok\r\n"),
    "a code below 200": drop(b"150 Hm\r\n"),
    "a code above 599": drop(b"650 Hm\r\n"),
    "an endless line": drop(b"250 " + b"a" * 100_000 + b"\r\n"),
    "an endless reply": drop(b"250-more\r\n" * 20_000),
    "a slow drip": drip("250 2.0.0 " + "o" * 1500, every=0.1),
}
SLOW = ("hang", "a slow drip")
# Seconds until a connection is open: also enough for a busy machine, and spent where it hangs.
IMPATIENCE = 5.0


@dataclass
class Note:
    """Counts how often the dot was announced, and what the server had accepted by then."""

    server: Server
    accepted: list[int] = field(default_factory=list)

    def __call__(self) -> None:
        self.accepted.append(len(self.server.accepted))


@pytest.fixture
def note(server) -> Note:
    return Note(server)


Check = Callable[[Server, Hand, Note, str, str], None]


def try_everywhere(check: Check, *verbs: str, faults: Mapping[str, Action] = FAULTS) -> None:
    """Check each fault at each verb, however we speak, with a server and a client of its own.

    All at once: a connection that does not open is given up after some seconds.
    """

    def trial(verb: str, fault: str, *, pipelining: bool) -> None:
        with Server() as server:
            patient = replace(relay_at(server, PATIENCE), pipelining=pipelining)
            is_opening = verb in ("CONNECT", "EHLO") and fault in SLOW
            hand = Hand(replace(patient, timeout=IMPATIENCE) if is_opening else patient)
            has_begun = threading.Event()

            def act(conversation) -> None:
                hand.pool._transport = SmtpTransport(patient)
                has_begun.set()
                faults[fault](conversation)

            def lose_patience() -> None:
                if fault in SLOW and has_begun.is_set():
                    has_begun.clear()
                    hand.pass_time(1000)

            hand.between = lose_patience
            server.script(verb, act)
            check(server, hand, Note(server), verb, fault)
            hand.close()

    at_once({
        f"{verb}, {fault}, {pipelining=}": partial(trial, verb, fault, pipelining=pipelining)
        for verb, fault, pipelining in product(verbs, faults, (True, False))
    })  # fmt: skip


def test_a_message_is_handed_over(server, transport, note):
    reply = transport.send(COPY, note)
    assert (reply.code, reply.verb) == (250, "DOT")
    [accepted] = server.accepted
    assert (accepted.return_path, accepted.recipient) == ("b+a1b2@example.org", "ada@dpsk12.org")
    assert accepted.data == MESSAGE
    assert note.accepted == [0]
    assert server.faults == []
    assert server.commands[0] == "ehlo belong.example.org"
    assert server.to("ADA@dpsk12.org")[0]["Subject"] == "Spring"


def test_a_fault_before_the_dot_hands_nothing_over():
    def check(server, transport, note, verb: str, fault: str) -> None:
        with pytest.raises(RelayUnavailable) as unreachable:
            transport.send(COPY, note)
        is_hasty = fault == "reset" and unreachable.value.phase in ("MAIL", "RCPT")
        assert unreachable.value.phase == verb or is_hasty, "a reset overtakes what was said before"
        assert "ada" not in str(unreachable.value)
        assert server.accepted == []
        assert note.accepted == []
        assert transport.send(COPY, note).code == 250
        assert len(server.accepted) == 1

    try_everywhere(check, "CONNECT", "EHLO", "MAIL", "RCPT", "DATA")


def test_a_fault_within_the_body_is_never_taken_for_success():
    def check(server, transport, note, verb: str, fault: str) -> None:
        with pytest.raises((RelayUnavailable, AnswerLost)) as lost:
            transport.send(COPY, note)
        assert server.accepted == []
        assert note.accepted == ([0] if lost.type is AnswerLost else [])
        assert transport.send(COPY, note).code == 250

    try_everywhere(check, "BODY")


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_line_that_is_too_long_is_no_answer_also_when_its_end_has_come(
    server, transport, note, verb
):
    code = b"354" if verb == "DATA" else b"250"
    server.script(verb, write(code + b" " + b"a" * MAX_REPLY_LINE + b"\r\n"))
    with pytest.raises(AnswerLost if verb == "DOT" else RelayUnavailable):
        transport.send(COPY, note)
    assert len(server.accepted) == (verb == "DOT")
    assert transport.send(COPY, note).code == 250


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DOT"])
def test_a_line_that_is_longer_than_it_may_be_but_not_endless_is_taken(
    server, transport, note, verb
):
    """RFC 5321 4.5.3.1.5 allows 512 octets; who writes some more is understood."""
    server.script(verb, "250 " + "a" * 1500)
    assert transport.send(COPY, note).code == 250


def test_after_the_dot_a_lost_answer_is_known_to_be_lost():
    def check(server, transport, note, verb: str, fault: str) -> None:
        with pytest.raises(AnswerLost):
            transport.send(COPY, note)
        assert len(server.accepted) == 1
        assert note.accepted == [0]
        assert transport.send(COPY, note).code == 250

    try_everywhere(check, "DOT", faults=FAULTS | {"another answer": write(b"354 Go on\r\n")})


def test_an_acceptance_or_refusal_stands_when_the_reset_or_goodbye_after_it_fails():
    def check(server, transport, note, verb: str, fault: str) -> None:
        server.script("RCPT", "550 5.1.1 No such user")
        assert transport.send(COPY, note).code == 550
        assert transport.send(COPY, note).code == 250
        transport.close()
        transport.close()

    try_everywhere(check, "RSET", "QUIT")


@pytest.mark.parametrize("code", [421, 450, 500, 554])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_refusal_is_returned_and_leaves_nothing_behind(server, transport, note, verb, code):
    server.script(verb, f"{code} 5.0.0 No\n{code} 5.0.0 not you")
    reply = transport.send(COPY, note)
    assert (reply.code, reply.verb) == (code, verb)
    assert reply.text == "5.0.0 No\n5.0.0 not you"
    assert server.accepted == []
    assert note.accepted == ([0] if verb == "DOT" else [])
    assert transport.send(letter(recipient="eva@dpsk12.org"), note).code == 250
    assert [one.recipient for one in server.accepted] == ["eva@dpsk12.org"]
    assert server.connections == (2 if code == 421 else 1)
    assert ("rset" in "".join(server.commands).lower()) == (verb != "DOT" and code != 421)


@pytest.mark.parametrize("code", [421, 500, 554])
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO"])
def test_a_relay_that_does_not_want_us_is_unreachable(server, transport, note, verb, code):
    server.script(verb, f"{code} ada@dpsk12.org is not welcome")
    with pytest.raises(RelayUnavailable) as unreachable:
        transport.send(COPY, note)
    assert unreachable.value.reply is not None
    assert classify_reply(unreachable.value.reply) is ReplyClass.HOST
    assert "ada" not in str(unreachable.value)


def open_line(hand: Hand) -> SmtpConnection:
    [talk] = hand.pool._talks.values()
    return talk.line


def test_answers_in_time_are_bounded_in_total(server, relay, note):
    """All together they would take more than twice as long as one may."""
    hand, has_given_up = Hand(replace(relay, timeout=600.0, pipelining=False)), threading.Event()
    for verb, seconds in (("MAIL", 550), ("RCPT", 550), ("DATA", 120)):
        server.on(verb, lambda _, seconds=seconds: hand.pass_time(seconds))

    def answer_in_time(conversation) -> None:
        has_given_up.wait(20)
        conversation.say("354 Go")

    server.script("DATA", answer_in_time)
    with pytest.raises(RelayUnavailable) as unreachable:
        hand.send(COPY, note)
    has_given_up.set()
    assert unreachable.value.phase == "DATA"
    hand.close()


def test_the_first_bytes_of_an_answer_buy_no_time(server, relay, note):
    hand = Hand(replace(relay, timeout=60.0, pipelining=False))

    def hesitate(conversation) -> None:
        hand.pass_time(40)
        conversation.write(b"250 2")
        wait_until(lambda: open_line(hand)._unread)
        hand.pass_time(40)
        hang()(conversation)

    server.script("MAIL", hesitate)
    with pytest.raises(RelayUnavailable):
        hand.send(COPY, note)
    hand.close()


def test_an_answer_that_came_in_time_counts_however_late_it_is_read(transport, note):
    """The driver is busy beyond the deadline, as with a slow transaction."""

    def be_busy() -> None:
        if note.accepted:
            transport.between = bool
            assert select.select([open_line(transport)._open_socket()], [], [], SECONDS)[0]
            transport.pass_time(1000)

    transport.between = be_busy
    assert transport.send(COPY, note).code == 250


def test_the_dot_has_a_time_of_its_own(server, relay):
    """Also where the worker was told to stop, and has waited for as long as it does otherwise."""
    hand = Hand(replace(relay, timeout=20.0, dot_timeout=600.0))
    server.on("DOT", lambda _: hand.pass_time(300))

    def stop() -> None:
        hand.pool._leave_at = 0.0

    assert hand.send(COPY, stop).code == 250
    hand.close()


def test_a_reply_has_an_end(server, transport, note):
    server.script("MAIL", write(b"250-more\r\n" * 101 + b"250 Ok\r\n"))
    with pytest.raises(RelayUnavailable):
        transport.send(COPY, note)


@pytest.mark.parametrize("said", [b"250 2.0.0 Ok\r\n", b"451 4.3.0 Slow\r\n", b"421 Bye\r\n", b"x"])
def test_an_answer_that_comes_too_early_is_none(server, transport, note, said):
    server.script("DATA", write(b"354 Go ahead\r\n" + said))
    with pytest.raises(RelayUnavailable) as unreachable:
        transport.send(COPY, note)
    assert unreachable.value.phase == "body"
    assert note.accepted == []


def test_a_surplus_answer_does_not_speak_for_the_next_message(server, transport, note):
    server.script("DOT", write(b"250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n"))
    server.script("RCPT", "250 Ok", "550 5.1.1 No such user")
    assert transport.send(COPY, note).code == 250
    assert transport.send(COPY, note).code == 550
    assert server.connections == 2


def test_a_failure_to_note_the_dot_sends_no_dot(server, transport):
    def fail() -> None:
        raise RelayUnavailable("JOURNAL", "no room")

    with pytest.raises(RelayUnavailable):
        transport.send(COPY, fail)
    assert server.accepted == []
    assert transport.send(COPY, lambda: None).code == 250


def test_one_connection_carries_many_messages(server, transport, note):
    transport.send_all([COPY] * (MAX_TRANSACTIONS + 1), note)
    assert server.connections == 2
    assert len(server.accepted) == MAX_TRANSACTIONS + 1


def test_a_connection_without_work_waits_for_a_while_and_then_says_goodbye(server, relay, note):
    hand = Hand(relay)
    assert hand.pool._most_idle == 60.0
    for _ in range(2):
        assert hand.send(COPY, note).code == 250
    assert server.connections == 1
    hand.pool._most_idle = 0.5
    while "QUIT" not in server.commands:
        hand.pool.poll(0.05)
    assert hand.send(COPY, note).code == 250
    assert server.connections == 2
    hand.close()


def test_a_relay_that_hangs_up_at_once_is_tried_once(server, transport, note):
    transport.send(COPY, note)
    server.always("MAIL", drop())
    with pytest.raises(RelayUnavailable):
        transport.send(COPY, note)
    assert server.connections == 2


# SIZE and LIMITS as RFC 1870, 3, and RFC 9422, 4.1, do not have them.
WITHOUT_SENSE = [
    b"SIZE " + b"9" * 1_900, b"SIZE \xb2", b"SIZE -1", b"SIZE 0", b"SIZE", b"LIMITS MAILMAX=0",
    b"LIMITS MAILMAX=00", b"LIMITS MAILMAX=-1", b"LIMITS MAILMAX=9999999999",
    b"LIMITS MAILMAX=\xb2 RCPTMAX=0", b"LIMITS XMAILMAX=1",
]  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("line", WITHOUT_SENSE, ids=lambda line: repr(line[:30]))
def test_an_announcement_without_sense_keeps_no_mail_back(server, transport, note, line):
    """Believing a limit of nothing would open connections without end."""
    server.script("EHLO", write(b"250-relay\r\n250-PIPELINING\r\n250 " + line + b"\r\n"))
    assert [transport.send(COPY, note).code for _ in range(2)] == [250, 250]
    assert server.connections == 1


def test_reports_are_asked_for_where_they_are_offered_and_go_to_somebody(
    server, transport, relay, note
):
    tagged = letter(return_path="b+a=1@example.org", recipient="ada+x=y@dpsk12.org")
    transport.send(tagged, note)
    assert server.commands[1:3] == [
        f"MAIL FROM:<b+a=1@example.org> SIZE={len(MESSAGE)} RET=HDRS ENVID=b+2Ba+3D1",
        "RCPT TO:<ada+x=y@dpsk12.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ada+2Bx+3Dy@dpsk12.org",
    ]
    transport.send(letter(return_path=""), note)
    assert server.commands[-3:-1] == [
        f"MAIL FROM:<> SIZE={len(MESSAGE)}",
        "RCPT TO:<ada@dpsk12.org>",
    ]
    with Server(extensions=()) as plain:
        transport = Hand(replace(relay, port=plain.port))
        transport.send(COPY, note)
        transport.close()
        assert plain.commands[1:3] == ["MAIL FROM:<b+a1b2@example.org>", "RCPT TO:<ada@dpsk12.org>"]


def test_a_message_that_is_too_large_is_not_offered(relay, note):
    with Server(extensions=(f"SIZE {len(MESSAGE)}",)) as server:
        transport = Hand(replace(relay, port=server.port))
        assert transport.send(COPY, note).code == 250
        reply = transport.send(letter(message=MESSAGE + b"\r\n"), note)
        transport.close()
        assert classify_reply(reply) is ReplyClass.CONTENT
        assert " ".join(server.commands).count("MAIL") == 1


@pytest.mark.parametrize(
    "address",
    ["b@x.org>\r\nDATA", "b@x.org\nDATA", "b c@x.org", "<b@x.org>", "a@x.org,b@x.org", ""],
)
def test_no_command_is_smuggled_in_by_an_address(server, transport, note, address):
    with pytest.raises(InvalidAddress):
        transport.send(letter(recipient=address), note)
    if address:
        with pytest.raises(InvalidAddress):
            transport.send(letter(return_path=address), note)
    assert "DATA" not in server.commands
    assert transport.send(COPY, note).code == 250


@pytest.mark.parametrize(
    "message",
    [
        b"a\r\n\r\nb\n.\nMAIL\r\n", b"a\r\n\r\nb\r.\rMAIL\r\n", b"a\r\n\r\nb\n.\r\nMAIL\r\n",
        b"a\r\n\r\nb\r\n.\rMAIL\r\n", b"a\r\n\r\nb\0\r\n", b"a\r\n\r\nb\xc3\xa9\r\n",
        b"a\r\n\r\nb", b"a\r\n\r\nb\r\r\n", b"",
    ],
)  # fmt: skip
def test_unfinished_bytes_are_not_sent(server, transport, note, message):
    with pytest.raises(InvalidMessage):
        transport.send(letter(message=message), note)
    assert server.accepted == []
    assert "DATA" not in server.commands


@pytest.mark.parametrize(
    "body", [b".\r\n", b"..\r\n", b".a\r\n\r\n.\r\n.\r\n", b"a\r\n.\r\nQUIT\r\n"]
)
def test_dots_arrive_as_they_were_written(server, transport, note, body):
    for message in (body, b"a: b\r\n\r\n" + body):
        transport.send(letter(message=message), note)
        assert server.accepted.pop().data == message
    assert server.accepted == []


def test_lmtp_says_lhlo(relay, note):
    with Server() as server:
        transport = Hand(replace(relay, port=server.port, scheme="lmtp"))
        assert transport.send(COPY, note).code == 250
        transport.close()
        assert server.commands[0] == "lhlo belong.example.org"
