"""Many messages over one connection, each envelope with the body before it (RFC 2920)."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from belong_mail.mail.smtp.connection import Relay, RelayUnavailable
from belong_mail.mail.smtp.replies import Reply
from tests.counting import counted
from tests.letters import MESSAGE, letter
from tests.mail.hand import AnswerLost, Hand, Outcome
from tests.servers.conversation import ANSWERS
from tests.servers.smtp import Server, drop, reset, write
from tests.waiting import wait_until

NAMES = ("ada", "ben", "cleo", "dan", "eva")
EVERYBODY = [letter(f"b+{name}@example.org", f"{name}@dpsk12.org") for name in NAMES]


@pytest.fixture
def hand(relay: Relay) -> Iterator[Hand]:
    hand = Hand(relay)
    yield hand
    hand.close()


def quiet() -> None:
    """Nothing is to be noted before a dot."""


def got(server) -> list[str]:
    return [one.recipient.partition("@")[0] for one in server.accepted]


def codes(outcomes: list[Outcome]) -> list[int | str]:
    return [one.code if isinstance(one, Reply) else type(one).__name__ for one in outcomes]


@pytest.mark.parametrize("lines", [1, 3_000])
def test_a_message_costs_one_send_and_two_receives_at_most(lines, server, hand):
    """Up to 64,000 octets."""
    message = MESSAGE + b"Twenty octets, so.\r\n" * lines
    copies = [letter(each.return_path, each.recipient, message) for each in EVERYBODY * 8]
    with counted() as counts:
        hand.send_all(copies, quiet)
    assert len(server.accepted) == 40
    greeting = 2
    assert counts["send"] + counts["sendmsg"] == 40 + greeting
    assert counts["recv"] <= 2 * 40 + 2 * greeting


def test_a_partial_answer_is_acknowledged_before_waiting_for_the_rest(server, hand):
    """Else a relay that holds small answers back (RFC 896) waits 40 ms for each message."""
    if not hasattr(socket, "TCP_QUICKACK"):
        pytest.skip("NOT TESTED: prompt acknowledgments; this system has no TCP_QUICKACK")
    held_back = len(EVERYBODY * 2) - 1  # after the last body nothing travels with it

    def hold_back(conversation) -> None:
        before = counts["setsockopt"]
        conversation.write(b"250 2.0.0 Ok\r\n")
        wait_until(lambda: counts["setsockopt"] > before)

    server.script("DOT", *[hold_back] * held_back)
    with counted() as counts:
        hand.send_all(EVERYBODY * 2, quiet)
    assert len(server.accepted) == len(EVERYBODY * 2)


def test_the_next_envelope_travels_with_the_body_and_only_one_body_at_a_time(server, hand):
    order: list[str] = []
    for moment in ("MAIL", "DOT", "after DOT"):
        server.on(moment, lambda _, moment=moment: order.append(moment))
    hand.send_all(EVERYBODY, quiet)
    hand.close()
    assert order == ["MAIL", "DOT", "after DOT"] * 5
    assert server.faults == []
    assert server.connections == 1


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("number", range(5))
def test_a_refusal_counts_only_for_the_message_it_is_about(server, hand, verb, number):
    server.script(verb, *[ANSWERS[verb]] * number, "550 5.7.1 Not this one")
    outcomes = hand.send_all(EVERYBODY, quiet)
    assert sorted(map(str, codes(outcomes))) == ["250"] * 4 + ["550"]
    assert got(server) == [name for name in NAMES if name != NAMES[number]]
    assert server.connections == 1


def test_a_go_ahead_without_a_recipient_is_answered_by_a_lone_dot(server, hand):
    """RFC 2920, 3.1: the relay waits for a message, and must not get one."""
    server.script("RCPT", "550 5.1.1 No such user")
    server.script("DATA UNINVITED", "354 Go ahead")
    outcomes = hand.send_all(EVERYBODY[:2], quiet)
    assert codes(outcomes) == [550, 250]
    assert got(server) == ["ben"]
    assert all(one.data == MESSAGE for one in server.accepted)


@pytest.mark.parametrize("fault", [drop(), reset, drop(b"25"), write(b"hello\r\n")])
@pytest.mark.parametrize("number", range(4))
def test_an_answer_lost_in_the_middle_is_of_one_and_the_others_go_out_once(
    server, hand, fault, number
):
    server.script("DOT", *[ANSWERS["DOT"]] * number, fault)
    outcomes = hand.send_all(EVERYBODY, quiet)
    assert codes(outcomes) == [250] * number + ["AnswerLost"] + [250] * (4 - number)
    assert isinstance(outcomes[number], AnswerLost)
    assert sorted(got(server)) == sorted(NAMES)


@pytest.mark.parametrize("verb", ["RCPT", "DATA"])
@pytest.mark.parametrize("number", range(1, 4))
def test_a_break_in_an_envelope_leaves_the_message_before_it_accepted(server, hand, verb, number):
    server.script(verb, *[ANSWERS[verb]] * number, drop())
    outcomes = hand.send_all(EVERYBODY, quiet)
    assert codes(outcomes).count(250) == 4
    assert [one.phase for one in outcomes if isinstance(one, RelayUnavailable)] == [verb]
    assert got(server) == [name for name in NAMES if name != NAMES[number]]


@pytest.mark.parametrize("goodbye", [drop(), "421 4.3.2 Enough for one connection"])
@pytest.mark.parametrize("number", range(1, 4))
def test_a_relay_that_ends_the_connection_between_messages_costs_nobody_anything(
    server, hand, goodbye, number
):
    server.script("MAIL", *[ANSWERS["MAIL"]] * number, goodbye)
    assert codes(hand.send_all(EVERYBODY, quiet)) == [250] * 5
    assert sorted(got(server)) == sorted(NAMES)
    assert server.connections == 2


def test_a_message_that_no_conversation_can_carry_stops_nobody_else(server, hand):
    bad = letter(recipient="b@x.org>\r\nDATA")
    outcomes = hand.send_all([*EVERYBODY[:2], bad, *EVERYBODY[3:]], quiet)
    assert sorted(map(str, codes(outcomes))) == ["250"] * 4 + ["InvalidAddress"]
    assert got(server) == ["ada", "ben", "dan", "eva"]


def test_a_relays_limit_ends_a_connection_before_one_too_many_is_said(relay):
    with Server(extensions=("PIPELINING", "LIMITS MAILMAX=2")) as server:
        hand = Hand(replace(relay, port=server.port))
        assert codes(hand.send_all(EVERYBODY, quiet)) == [250] * 5
        hand.close()
        assert server.connections == 3
        assert len([one for one in server.commands if one.startswith("MAIL")]) == 5
        assert got(server) == list(NAMES), "it takes no message that it would have to give back"


def test_a_relay_that_does_not_announce_it_is_asked_step_by_step_and_up_to_a_refusal(relay):
    with Server(extensions=()) as server, counted() as counts:
        server.script("RCPT", None, "550 5.1.1 No such user")
        hand = Hand(replace(relay, port=server.port))
        hand.send_all(EVERYBODY, quiet)
        hand.close()
        assert got(server) == [name for name in NAMES if name != "ben"]
        assert server.commands.count("DATA") == 4
    assert counts["send"] + counts["sendmsg"] >= 4 * 5
