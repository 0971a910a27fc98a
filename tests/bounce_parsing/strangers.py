"""A third set, written last: what tempts to a false step, and what no server above has said."""

from typing import Final

from tests.bounce_parsing.builders import (
    ADA,
    AUTO,
    COMPLAINT,
    FINAL,
    GONE,
    LATE,
    ORIGINAL,
    OTHER,
    PASSING,
    PERSON,
    Case,
    diagnostics,
    dsn,
    exim,
    mail,
    qmail,
)

WRITTEN = [
    Case(
        "a reply with a signature of its server",
        OTHER,
        mail(
            "Yes, I come on Thursday.\n\nPostmaster rule 550: no dogs.",
            sender=PERSON,
            subject="Re: News for July",
        ),
    ),
    Case(
        "a school's notice of delivery",
        OTHER,
        mail(
            "Your package could not be delivered to room 550. Please call the office.",
            sender="office@example.org",
            subject="Delivery failed",
        ),
    ),
    Case(
        "a lead asks about mail that failed",
        OTHER,
        mail(
            "Hello, three people told me that their mail to the group bounced with user unknown.",
            sender=PERSON,
            subject="Mail to the group is failing",
        ),
    ),
    Case(
        "a person passes on what a colleague passed on",
        OTHER,
        mail(
            "See below\n\nVon: Mail Delivery System\nGesendet: Dienstag\nAn: Bo\nBetreff:"
            " Unzustellbar\n\n"
            f"{ADA}\n550 5.1.1 unknown user",
            sender=PERSON,
            subject="Unzustellbar: News",
        ),
    ),
    Case(
        "a security notice",
        OTHER,
        mail(
            "We blocked a sign-in attempt. Click the link to review: https://login.example",
            sender="security@service.example.com",
            subject="Action required: message about your account",
        ),
    ),
    Case(
        "a newsletter with a review link",
        OTHER,
        mail(
            "Click the link below. Our email address book will not be delivered before May.",
            sender="news@club.example.com",
            subject="Your post",
            headers=["List-Unsubscribe: <https://x.example>"],
        ),
    ),
    Case(
        "a postmaster introduces herself",
        OTHER,
        mail(
            "Hello, I am the new administrator of our mail and would like to talk about your list.",
            sender="Postmaster <pat@example.org>",
            subject="Introduction",
        ),
    ),
    Case(
        "a server reports its queue",
        OTHER,
        mail(
            "Mail queue: 14 messages. Disk 40 %.",
            sender="root@mx.example.org",
            subject="Daily report of mx",
        ),
    ),
    Case(
        "a teacher is away and quotes our mail",
        AUTO,
        mail(
            "I am on leave until August.\n\n> Undelivered mail: tell us when yours comes back.",
            sender=f"Ada <{ADA}>",
            subject="Automatic reply: Undelivered mail",
        ),
    ),
    Case(
        "somebody has changed her address",
        AUTO,
        mail(
            "I have a new address. This one is no longer valid; your message was not delivered.",
            sender=f"Ada <{ADA}>",
            subject="Re: News for July",
            headers=["X-Autoreply: yes", "Precedence: bulk"],
        ),
    ),
    Case(
        "a help desk opens a ticket",
        AUTO,
        mail(
            "We have received your message and opened ticket 5501. You do not need to do anything.",
            sender="help@example.org",
            subject="[#5501] News for July",
            headers=["Auto-Submitted: auto-generated"],
        ),
    ),
    Case(
        "qmail has two addresses, one of them gone",
        FINAL,
        qmail("This address no longer accepts mail."),
    ),
    Case(
        "exim, the user's filter",
        FINAL,
        exim("This message has been rejected by the user's filter"),
    ),
    Case(
        "exim, a retry time not reached",
        PASSING,
        exim("retry time not reached for any host after a long failure period"),
    ),
    Case(
        "exim is late, with a code",
        LATE,
        mail(
            "This message was created automatically by mail delivery software.\nA message that"
            " you sent"
            " has not yet been delivered to one or more of its\nrecipients after more than 24"
            " hours on"
            f" the queue on relay.\n\n  {ADA}\n    Delay reason: 451 4.3.0 try later\n\nNo action"
            " is"
            " required on your part. Delivery attempts will continue for some time.",
            sender="Mail Delivery System <Mailer-Daemon@relay.example.com>",
            subject="Warning: message 1qZ delayed 24 hours",
        ),
    ),
    Case(
        "a final report that tells of an earlier delay",
        GONE,
        dsn("5.1.1", "smtp; 550 5.1.1 user unknown", text="We warned you that it was delayed."),
    ),
    Case(
        "a filter tells in words alone",
        FINAL,
        mail(
            f"Your message to {ADA} was not delivered. It was classified as spam.",
            sender="postmaster@filter.example.org",
            subject="Message rejected",
        ),
    ),
    Case(
        "an isp's complaint with the fields in words",
        COMPLAINT,
        mail(
            f"Feedback-Type: abuse\nUser-Agent: isp/1\nOriginal-Rcpt-To: {ADA}\n\n{ORIGINAL}",
            sender="fbl@isp.example.com",
            subject="Complaint",
        ),
    ),
    Case(
        "a person calls something spam",
        OTHER,
        mail(
            "This was reported as spam by our filter last week, so I only saw it today.",
            sender=PERSON,
            subject="Re: News for July",
        ),
    ),
]

STRANGERS: Final = [
    *diagnostics("strangers"),
    *WRITTEN,
]
