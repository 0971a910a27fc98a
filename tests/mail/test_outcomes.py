"""Replies: what each asks of us, and that our faults never fall on a reader."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.mail.phrases import known_phrase
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply
from tests.mail.outcomes import (
    ACCEPTED,
    CASES,
    CONTENT,
    CREDENTIALS,
    DEFER,
    FAIL,
    HOST,
    POLICY,
    QUOTA,
    REFUSED,
    SENDER,
)

# As Gmail, Microsoft, Yahoo, Postfix, Exim, qmail, filters and senders for hire say it.
SEEN_ELSEWHERE = [
    ("RCPT", "550 5.2.1 The email account that you tried to reach is inactive", FAIL),
    ("DOT", "552 5.2.2 The email account that you tried to reach is over quota and inactive", FAIL),
    ("RCPT", "452 4.2.2 The email account that you tried to reach is over quota", DEFER),
    ("DOT", "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail", HOST),
    (
        "DOT",
        "550 5.7.1 Our system has detected that this is likely unsolicited mail",
        POLICY,
    ),
    ("DOT", "451 4.7.24 The SPF record of the sending domain has suspicious entries", DEFER),
    ("MAIL", "555 5.5.2 Syntax error, cannot decode response", SENDER),
    ("RCPT", "550 5.7.1 Daily SMTP relay sending limit exceeded for this user", QUOTA),
    ("MAIL", "550 5.7.1 Invalid credentials for relay [192.0.2.1]", CREDENTIALS),
    ("MAIL", "421 4.3.0 Temporary System Problem. Try again later (10)", HOST),
    (
        "DOT",
        "550 5.7.708 Access denied, traffic not accepted from this IP",
        POLICY,
    ),
    ("MAIL", "550 5.7.705 Access denied, tenant has exceeded threshold", QUOTA),
    (
        "DOT",
        "550 5.7.23 Rejected because of Sender Policy Framework violation",
        POLICY,
    ),
    ("MAIL", "530 5.7.57 Client not authenticated to send mail", CREDENTIALS),
    (
        "AUTH",
        "535 5.7.139 Authentication unsuccessful, it is disabled",
        CREDENTIALS,
    ),
    ("RCPT", "550 5.7.1 Unable to relay", POLICY),
    ("DOT", "452 4.3.1 Insufficient system resources", DEFER),
    ("CONNECT", "421 4.3.2 Service shutting down", HOST),
    ("DOT", "550 5.7.520 Message blocked because it contains content identified as spam", POLICY),
    ("RCPT", "554 5.4.14 Hop count exceeded - possible mail loop", FAIL),
    ("CONNECT", "421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", HOST),
    ("MAIL", "421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", HOST),
    ("DOT", "554 delivery error: dd Requested mail action aborted: exceeded storage", FAIL),
    ("RCPT", "550 5.1.1 unknown or illegal alias: ada@example.org", REFUSED),
    (
        "RCPT",
        "550 5.1.1 <ada@example.org>: User unknown in local recipient table",
        REFUSED,
    ),
    ("RCPT", "450 4.1.2 <ada@example.org>: Recipient address rejected: Domain not found", DEFER),
    (
        "RCPT",
        "451 4.3.5 <ada@example.org>: Server configuration error",
        DEFER,
    ),
    ("RCPT", "504 5.5.2 <belong>: Helo command rejected: need fully-qualified hostname", SENDER),
    ("RCPT", "450 4.7.1 <belong>: Helo command rejected: Host not found", DEFER),
    ("MAIL", "552 5.3.4 Message size exceeds file system imposed limit", CONTENT),
    ("DOT", "451 4.3.0 Error: queue file write error", DEFER),
    ("DOT", "550 5.6.2 Message contains bare line feeds", CONTENT),
    ("RCPT", "550 Unrouteable address", REFUSED),
    ("RCPT", "550 relay not permitted", POLICY),
    ("RCPT", "451 Temporary local problem - please try later", DEFER),
    ("MAIL", "452 space shortage, please try later", HOST),
    ("RCPT", "451 could not complete sender verify callout", DEFER),
    ("DOT", "550 maximum allowed line length is 998 octets", FAIL),
    ("RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", POLICY),
    ("DOT", "552 5.3.4 sorry, that message size exceeds my databytes limit", CONTENT),
    ("RCPT", "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", REFUSED),
    (
        "RCPT",
        "550 5.1.1 ada@example.org Address could not be found, or was misspelled",
        REFUSED,
    ),
    ("RCPT", "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550", REFUSED),
    ("RCPT", "451 Internal resources are temporarily unavailable", DEFER),
    ("RCPT", "550 Administrative prohibition", POLICY),
    ("CONNECT", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen", HOST),
    (
        "RCPT",
        "550 #5.7.1 Your access to this e-mail system has been rejected",
        POLICY,
    ),
    ("MAIL", "421 4.4.2 relay.example.org Error: timeout exceeded", HOST),
    ("DOT", "250 2.6.0 <id@example.org> [InternalId=1] Queued mail for delivery", ACCEPTED),
    ("DOT", "250 OK id=1xVvTB-000000004Nv-2x7g", ACCEPTED),
    (
        "DOT",
        "554 Message rejected: Sending suspended for this account. For more information",
        SENDER,
    ),
    ("DOT", "554 Message rejected: Sending paused for this account.", SENDER),
    ("MAIL", "454 4.7.0 Sending paused for this account", HOST),
    ("DATA", "550 5.7.0 Your account has been suspended", SENDER),
    ("MAIL", "451 Authentication failed: Maximum credits exceeded", QUOTA),
    ("AUTH", "451 Authentication failed: Maximum credits exceeded", QUOTA),
    ("MAIL", "550 Unauthenticated senders not allowed", CREDENTIALS),
    ("DOT", "550 The from address does not match a verified Sender Identity", SENDER),
    ("DOT", "550 5.7.1 Domain example.org is not allowed to send: it is unverified", SENDER),
    ("MAIL", "420 Domain example.org is not allowed to send: recipient limit exceeded", QUOTA),
    ("RCPT", "550 5.7.1 You are not allowed to send to this recipient", FAIL),
    ("DOT", "550 The 'From' address you supplied is not a Sender Signature", SENDER),
    ("DOT", "550 5.7.1 Your account is pending approval", SENDER),
    ("RCPT", "550 You tried to send to a recipient that has been marked as inactive", FAIL),
    ("DOT", "550 5.7.501 Access denied, spam abuse detected", SENDER),
    ("DOT", "550 5.7.502 Access denied, banned sender", SENDER),
    ("DOT", "550 5.7.64 TenantAttribution; Relay Access Denied", SENDER),
    ("DOT", "550 5.7.750 Client blocked from sending from unregistered domains", SENDER),
    ("DOT", "550 5.7.232 Your trial tenant has exceeded its daily limit", QUOTA),
    ("DOT", "550 5.4.5 Daily user sending limit exceeded", QUOTA),
    ("MAIL", "550 5.7.9 Authentication mechanism is too weak", CREDENTIALS),
    ("DOT", "554 5.7.9 Message not accepted, see the postmaster's page", POLICY),
    ("RCPT", "550 5.2.1 This account has been suspended", FAIL),
]
# Said for good, and all the same about us or about the relay: nobody's copy is lost by it.
ABOUT_US = [
    ("RCPT", "550 Domain example.org has exceeded the max emails per hour (500/500)", QUOTA),
    ("DOT", "451 Domain example.org has exceeded the max emails per hour (500/500)", QUOTA),
    ("RCPT", "550 Domain example.org has exceeded the max defers and failures per hour", QUOTA),
    ("RCPT", "550 5.7.1 Rate limit exceeded for sender", QUOTA),
    ("RCPT", "550 5.7.1 Message rate exceeded. Quota reached", QUOTA),
    ("RCPT", "550 Too many messages from this sender in the last hour", QUOTA),
    ("RCPT", "550 too many recipients this hour", QUOTA),
    ("MAIL", "550 too many recipients this hour", QUOTA),
    ("RCPT", "552 5.2.0 Mail send limit exceeded", QUOTA),
    ("DOT", "554 5.7.1 mail quota exceeded", QUOTA),
    ("RCPT", "550 5.7.1 You have exceeded the number of messages allowed", QUOTA),
    ("DOT", "554 5.7.1 You have reached the limit of 300 emails a day", QUOTA),
    ("RCPT", "550 5.2.2 sender mailbox over quota", QUOTA),
    ("RCPT", "452 4.2.2 The sender's mailbox is over quota", QUOTA),
    ("RCPT", "550 5.4.6 Unusual sending activity detected", QUOTA),
    ("RCPT", "550 Mailbox b@belong.example.org has exceeded the max emails per hour", QUOTA),
    ("DOT", "550 5.7.1 too much mail from 192.0.2.1", QUOTA),
    ("RCPT", "550 maximum number of messages per session exceeded", HOST),
    ("RCPT", "550 5.7.0 maximum number of messages per connection exceeded", HOST),
    ("MAIL", "550 5.7.0 You have exceeded the number of messages per connection", HOST),
    ("RCPT", "550 5.7.1 Too many concurrent connections from your host", HOST),
    ("RCPT", "552 Too many recipients", HOST),
    ("MAIL", "550 5.7.10 Encryption needed", CREDENTIALS),
    ("RCPT", "523 5.7.10 Encryption needed", CREDENTIALS),
    ("RCPT", "550 5.7.10 No", CREDENTIALS),
    ("MAIL", "524 No", CREDENTIALS),
    ("RCPT", "550 5.7.4 TLS required", CREDENTIALS),
    ("RCPT", "554 5.7.1 Session encryption is required", CREDENTIALS),
    ("MAIL", "550 5.7.1 Must issue a STARTTLS command first", CREDENTIALS),
    ("RCPT", "550 This server requires an encrypted connection", CREDENTIALS),
    ("DOT", "554 5.3.0 Queue file write error", HOST),
    ("RCPT", "554 5.3.2 system not accepting network messages", HOST),
    ("MAIL", "554 5.3.2 No", HOST),
    ("RCPT", "554 5.3.5 Local configuration error", HOST),
    ("RCPT", "550 Server configuration error", HOST),
    ("DOT", "554 Transaction failed, no disk space", HOST),
    ("DOT", "554 5.3.1 No", HOST),
    ("DOT", "552 Insufficient system storage", HOST),
]
# Much the same words, about a recipient or a message: the queue must not wait for these.
ABOUT_THEM = [
    ("RCPT", "550 5.2.2 user over quota", FAIL),
    ("RCPT", "550 5.7.1 recipient's mail quota exceeded", FAIL),
    ("RCPT", "550 mail quota exceeded", FAIL),
    ("RCPT", "550 5.2.121 Recipient's per hour message receive limit exceeded", FAIL),
    ("RCPT", "550 5.2.122 Over the number of messages the recipient can receive per hour", FAIL),
    ("RCPT", "550 5.2.1 The user is receiving mail at a rate that prevents more", FAIL),
    ("RCPT", "450 4.2.1 The user is receiving too many messages per hour", DEFER),
    ("RCPT", "550 User has too many messages on the server", FAIL),
    ("RCPT", "550 too many messages for this recipient in the last hour", FAIL),
    ("RCPT", "550 rate limit exceeded for this recipient", FAIL),
    ("RCPT", "550 Mailbox exceeded its maximum number of messages", FAIL),
    ("RCPT", "552 5.2.2 too much mail data", FAIL),
    ("RCPT", "552 too much mail data", FAIL),
    ("RCPT", "552 5.3.1 Mailbox full", FAIL),
    ("RCPT", "550 No disk space left for user", FAIL),
    ("RCPT", "552 Insufficient storage", FAIL),
    ("RCPT", "552 Requested mail action aborted: exceeded storage allocation", FAIL),
    ("RCPT", "550 TLS required but not supported", FAIL),
    ("RCPT", "550 5.7.1 The mail server requires TLS for that recipient", POLICY),
    ("MAIL", "552 5.3.4 Message from this sender exceeds the size limit", CONTENT),
    ("MAIL", "552 Message size exceeds fixed limit", CONTENT),
    ("DOT", "554 5.4.6 Too many hops", FAIL),
    ("DOT", "550 5.7.1 too many links: this looks like spam", POLICY),
    ("DOT", "554 5.3.0 Too many errors in your message", FAIL),
    ("RCPT", "450 4.7.1 rate limit exceeded", HOST),
    ("RCPT", "450 4.7.4 TLS is required, but was not offered", DEFER),
]
CASES += SEEN_ELSEWHERE + ABOUT_US + ABOUT_THEM


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len({written for _, written, _ in CASES}) >= 150


def reply_of(verb: str, written: str) -> Reply:
    return Reply(int(written[:3]), written[4:], verb)


def test_a_reply_means() -> None:
    judged = {
        (verb, written): classify_reply(reply_of(verb, written)) for verb, written, _ in CASES
    }
    assert judged == {(verb, written): verdict for verb, written, verdict in CASES}


def test_only_a_permanent_answer_about_the_recipient_suppresses() -> None:
    for verb, written, verdict in CASES:
        for other in ("MAIL", "EHLO", "STARTTLS", "AUTH", "CONNECT"):
            assert classify_reply(reply_of(other, written)) is not ReplyClass.REFUSED, written
        if verdict is not ReplyClass.REFUSED:
            for spelled in (written.lower(), written.upper()):
                assert classify_reply(reply_of(verb, spelled)) is not ReplyClass.REFUSED, spelled


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 User unknown", "5.1.1"),
        ("#5.1.0 Rejected", "5.1.0"),
        ("5.7.1: refused", "5.7.1"),
        ("5.7.1\n5.7.1 more", "5.7.1"),
        ("4.2.1 of another class", ""),
        ("version 5.1.1", ""),
        ("5.1.1000", ""),
        ("", ""),
    ],
)
def test_the_enhanced_code_stands_first_and_agrees(text: str, code: str) -> None:
    assert Reply(550, text, "RCPT").enhanced == code


def test_a_phrase_is_ours_and_quotes_nobody() -> None:
    quoting = "5.1.1 <ada@dpsk12.org>: Recipient address rejected: User unknown"
    assert known_phrase(quoting) == "no such user"
    assert known_phrase("Mailbox full") == "mailbox full"
    assert known_phrase("ada@dpsk12.org") == ""


@given(st.integers(100, 999), st.text(max_size=400), st.sampled_from(["MAIL", "RCPT", "DOT", "X"]))
def test_any_reply_is_judged(code: int, text: str, verb: str) -> None:
    verdict = classify_reply(Reply(code, text, verb))
    assert (verdict is ReplyClass.ACCEPTED) == (200 <= code < 300)


def test_of_a_long_text_the_beginning_is_judged() -> None:
    """However much a relay says, the one thread that sends has other things to do."""
    told = "5.0.0 " + "x " * 900 + "No such user here"
    assert classify_reply(Reply(550, told, "RCPT")) is ReplyClass.REFUSED
    buried = "5.0.0 " + "x " * 1100 + "No such user here"
    assert classify_reply(Reply(550, buried, "RCPT")) is ReplyClass.FAIL
    assert known_phrase(buried) == ""


def test_the_longest_reply_there_can_be_costs_little() -> None:
    text = "\n".join(["5.1.1 " + "account " * 240] * 100)
    began = time.process_time()
    for _ in range(10):
        classify_reply(Reply(550, text, "RCPT"))
    assert time.process_time() - began < 2


def test_a_hostile_text_is_judged_at_once() -> None:
    began = time.process_time()
    for text in (
        "user " * 20_000,
        "sender address " * 7_000,
        "a" * 100_000,
        "domain host " * 8_000,
        "mailbox recipient receive " * 4_000,
        "exceed messages per " * 5_000,
    ):
        classify_reply(Reply(550, text, "RCPT"))
    assert time.process_time() - began < 2
