"""Why mail came back: of codes and words the more precise count, and our faults are ours."""

from belong_mail.mail.bounces.reasons import classify_bounce
from belong_mail.mail.smtp.replies import ReplyClass

REFUSED, FAIL, DEFER, HOST = ReplyClass.REFUSED, ReplyClass.FAIL, ReplyClass.DEFER, ReplyClass.HOST
POLICY, SENDER, CONTENT, QUOTA = (
    ReplyClass.POLICY,
    ReplyClass.SENDER,
    ReplyClass.CONTENT,
    ReplyClass.QUOTA,
)

CASES = [
    ("5.1.1", "", "5.1.1", REFUSED),
    ("5.1.3", "", "5.1.3", REFUSED),
    ("5.1.6", "", "5.1.6", REFUSED),
    ("5.1.10", "", "5.1.10", REFUSED),
    ("5.1.0", "550 5.1.0 unknown recipient", "5.1.1", REFUSED),
    ("5.0.0", "user unknown", "5.1.1", REFUSED),
    ("5.0.0", "550 5.1.1 no", "5.1.1", REFUSED),
    ("", "550 <ada@example.org>: no such user", "5.1.1", REFUSED),
    ("", "<<< 550 User unknown", "5.1.1", REFUSED),
    ("", "said: 550-5.1.1 The account does not exist", "5.1.1", REFUSED),
    ("", "Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1", REFUSED),
    ("5.2.0", "550 5.1.1 User unknown", "5.1.1", REFUSED),
    ("5.1.0", "", "5.1.0", FAIL),
    ("5.0.0", "", "5.0.0", FAIL),
    ("5.1.2", "", "5.1.2", FAIL),
    ("5.4.4", "Host not found", "5.4.4", FAIL),
    ("5.2.1", "550 5.2.1 disabled", "5.2.1", FAIL),
    ("5.2.2", "552 5.2.2 over quota", "5.2.2", FAIL),
    ("5.0.0", "mailbox is full", "5.2.2", FAIL),
    ("", "551 this mailbox is disabled", "5.2.1", FAIL),
    ("5.1.1", "550 max message size exceeded", "5.3.4", CONTENT),
    ("5.1.1", "550 the account is over quota", "5.2.2", FAIL),
    ("5.1.1", "550 refused due to recipient preferences", "5.7.1", FAIL),
    ("5.1.1", "550 mend your zone first", "5.0.0", FAIL),
    ("5.1.6", "551 we take no letters from clubs", "5.0.0", FAIL),
    ("5.1.1", "550 mailbox unavailable, access denied", "5.7.1", POLICY),
    ("5.1.1", "550 Requested action not taken: mailbox unavailable", "5.1.1", REFUSED),
    ("5.1.1", "550 <ada@example.org> recipient rejected", "5.1.1", REFUSED),
    ("5.1.1", "550 5.1.1 mend your zone first", "5.1.1", REFUSED),
    ("5.1.1", "we do not know her", "5.1.1", REFUSED),
    ("5.1.2", "550 we do not know that place", "5.1.2", FAIL),
    ("5.1.8", "553 no", "5.1.8", SENDER),
    ("5.1.1", "550 5.1.1 her account is over quota", "5.2.2", FAIL),
    ("5.0.0", "550 ada@example.org:user not exist", "5.1.1", REFUSED),
    ("5.0.0", "550 Verification failed for <b@example.org>", "5.1.8", SENDER),
    ("5.0.0", "550 Too many unknown users", "5.0.0", FAIL),
    ("5.1.1", "550 5.7.1 your host is on a blocklist", "5.7.1", POLICY),
    ("5.1.1", "550 5.1.1 rejected, listed in a blocklist", "5.1.1", POLICY),
    ("5.7.1", "550 5.7.1 no such user", "5.1.1", REFUSED),
    ("5.7.1", "550 5.7.1 no such user, listed in a blocklist", "5.7.1", POLICY),
    ("5.7.26", "550-5.7.26 unauthenticated", "5.7.26", POLICY),
    ("5.0.0", "550 SPF check failed", "5.7.26", POLICY),
    ("5.1.8", "550 5.1.8 sender address rejected: user unknown", "5.1.8", SENDER),
    ("5.0.0", "550 sender verify failed: no such user", "5.1.8", SENDER),
    ("5.0.0", "error after MAIL FROM:<b@example.org>: 550 no such user", "5.1.8", SENDER),
    ("5.0.0", "550 no such user (in reply to MAIL FROM command)", "5.1.8", SENDER),
    ("5.4.5", "550 5.4.5 daily relay limit exceeded", "5.4.5", QUOTA),
    ("5.0.0", "Domain example.org has exceeded the max emails per hour", "5.4.5", QUOTA),
    ("5.1.1", "550 example.org exceeded the max emails per hour (5/5)", "5.4.5", QUOTA),
    ("5.7.1", "554 5.7.1 mail quota exceeded", "5.7.1", QUOTA),
    ("5.7.1", "550 5.7.1 recipient's mail quota exceeded", "5.7.1", FAIL),
    ("5.0.0", "the recipient's quota of messages per month is exceeded", "5.2.2", FAIL),
    ("5.0.0", "550 Server configuration error", "5.3.0", FAIL),
    ("5.3.5", "554 5.3.5 Local configuration error", "5.3.5", FAIL),
    ("5.0.0", "550 too many connections", "5.0.0", FAIL),
    ("5.6.0", "554 5.6.0 bare line feeds", "5.6.0", CONTENT),
    ("5.3.4", "552 5.3.4 too big", "5.3.4", CONTENT),
    ("4.4.7", "delivery time expired", "4.4.7", DEFER),
    ("5.0.0", "retry timeout exceeded", "4.4.7", DEFER),
    ("5.0.0", "mailbox is full: retry timeout exceeded", "5.2.2", FAIL),
    ("5.0.0", "greylisted: retry timeout exceeded", "4.4.7", DEFER),
    ("", "this message has been in the queue too long", "4.4.7", DEFER),
    ("5.0.0", "450 4.2.2 over quota", "4.2.2", DEFER),
    ("4.2.2", "552 5.2.2 over quota", "4.2.2", DEFER),
    ("4.1.1", "550 5.1.1 user unknown", "5.1.1", REFUSED),
    ("4.1.1", "450 4.1.1 unverified address", "4.1.1", DEFER),
    ("", "451 4.7.650 slow down", "4.7.650", HOST),
    ("", "421 try again later", "4.0.0", HOST),
    ("5.0.0", "too many hops", "5.0.0", FAIL),
    ("", "554 transaction failed", "5.0.0", FAIL),
    ("2.0.0", "", "", None),
    ("2.0.0", "550 5.1.1 User unknown", "5.1.1", REFUSED),
    ("", "", "", None),
    ("", "something happened at 550 Main St, version 5.1.1.4", "", None),
]


def test_a_reason_is_explained():
    for reported, words, status, verdict in CASES:
        reason = classify_bounce(words, reported)
        assert (reason.status, reason.verdict) == (status, verdict), (reported, words)


def test_a_reason_keeps_the_basic_code():
    assert classify_bounce("smtp; 550 5.1.1 User unknown", "").code == 550
    assert classify_bounce("host said: 452 4.2.2 full", "").code == 452
    assert classify_bounce("User unknown", "5.1.1").code is None
    assert classify_bounce("it took 550 seconds", "5.1.1").code is None


def test_an_address_is_no_word_of_the_server():
    assert classify_bounce("550 <user.unknown@example.org> refused", "").phrase == ""
    assert classify_bounce("550 <spam@example.org>: no such user", "").verdict is REFUSED


def test_a_code_counts_with_the_words_beside_it():
    transcript = "(reason: 553 SPF check failed)\n550 5.1.1 User unknown\n<<< 503 (#5.5.1)"
    reason = classify_bounce(transcript, "")
    assert (reason.code, reason.status, reason.verdict) == (553, "5.7.26", POLICY)


def test_the_verb_may_stand_in_the_text_beside():
    beside = "SMTP error from remote mail server after MAIL FROM:<b@example.org>:"
    assert classify_bounce("550 no such user", "5.0.0").verdict is REFUSED
    assert classify_bounce("550 no such user", "5.0.0", beside).verdict is SENDER
    assert (
        classify_bounce("550 no such user", "5.0.0", "we wrote after mail failed").verdict
        is REFUSED
    )
