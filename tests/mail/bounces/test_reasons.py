"""Why mail came back: of codes and words the more precise count, and our faults are ours."""

from pathlib import Path

from belong_mail.mail.bounces.reasons import classify_bounce
from belong_mail.mail.smtp.replies import ReplyClass

# A line has a report's status, what the server said, and the status and class that follow.
LINES = Path(__file__).with_name("reasons.txt").read_text().splitlines()


def test_a_reason_is_explained():
    for line in LINES:
        reported, words, status, verdict = (each.strip("-") for each in line.split(" | "))
        reason = classify_bounce(words, reported)
        found = reason.verdict.name if reason.verdict else ""
        assert (reason.status, found) == (status, verdict), line


def test_a_reason_keeps_the_basic_code():
    assert classify_bounce("smtp; 550 5.1.1 User unknown", "").code == 550
    assert classify_bounce("host said: 452 4.2.2 full", "").code == 452
    assert classify_bounce("User unknown", "5.1.1").code is None
    assert classify_bounce("it took 550 seconds", "5.1.1").code is None


def test_an_address_is_no_word_of_the_server():
    assert classify_bounce("550 <user.unknown@example.org> refused", "").phrase == ""
    assert classify_bounce("550 <spam@example.org>: no such user", "").verdict is ReplyClass.REFUSED


def test_a_code_counts_with_the_words_beside_it():
    transcript = "(reason: 553 SPF check failed)\n550 5.1.1 User unknown\n<<< 503 (#5.5.1)"
    reason = classify_bounce(transcript, "")
    assert (reason.code, reason.status, reason.verdict) == (553, "5.7.26", ReplyClass.POLICY)


def test_the_verb_may_stand_in_the_text_beside():
    beside = "SMTP error from remote mail server after MAIL FROM:<b@example.org>:"
    assert classify_bounce("550 no such user", "5.0.0").verdict is ReplyClass.REFUSED
    assert classify_bounce("550 no such user", "5.0.0", beside).verdict is ReplyClass.SENDER
    beside = "we wrote after mail failed"
    assert classify_bounce("550 no such user", "5.0.0", beside).verdict is ReplyClass.REFUSED
