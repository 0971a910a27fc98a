"""Messages as mail servers send them back (RFC 3464, RFC 5965), written for these tests."""

from email.message import EmailMessage
from email.policy import SMTP

from belong_mail.inbound import pipe

UNKNOWN = ("5.1.1", "550 5.1.1 <{to}>: Recipient address rejected: User unknown")
FULL = ("5.2.2", "552 5.2.2 The mailbox is full")
DISABLED = ("5.2.1", "550 5.2.1 This account has been disabled")
NO_DOMAIN = ("5.1.2", "550 5.1.2 Host or domain name not found")
SPAM = ("5.7.1", "550 5.7.1 Message rejected as spam")
BROKEN_LIMIT = ("5.4.5", "550 5.4.5 Daily SMTP relay limit exceeded")

SERVER = {"Reporting-MTA": "dns; mx.example.org"}

HEAD = "From: DPS Belong <belong@example.org>\nSubject: Hello"
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.example.org>
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
{answers}MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="=_bound"

--=_bound
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.org.

--=_bound
Content-Type: message/{kind}

{fields}

--=_bound
Content-Type: text/rfc822-headers

{returned}

--=_bound--
"""


def report(
    to: str, kind: str, *groups: dict[str, str], returned: str = HEAD, answers: str = ""
) -> bytes:
    """Write a report of groups of fields, with the head of the message that came back."""
    fields = "\n\n".join(
        "\n".join(f"{name}: {value}" for name, value in group.items()) for group in groups
    )
    text = REPORT.format(to=to, kind=kind, fields=fields, returned=returned, answers=answers)
    return text.replace("\n", "\r\n").encode()


def bounce(
    return_path: str, to: str, why: tuple[str, str] = UNKNOWN, action: str = "failed"
) -> bytes:
    """Write the report that a mail to an address has failed, is delayed or was delivered."""
    return several(return_path, (to,), why, action)


def several(
    return_path: str,
    named: tuple[str, ...],
    why: tuple[str, str] = UNKNOWN,
    action: str = "failed",
    **about: str,
) -> bytes:
    """Write such a report about several addresses; `about` as in `report`."""
    recipients = ({"Final-Recipient": f"rfc822; {to}", **_failure(to, why, action)} for to in named)
    return report(return_path, "delivery-status", SERVER, *recipients, **about)


def _failure(to: str, why: tuple[str, str] = UNKNOWN, action: str = "failed") -> dict[str, str]:
    status, words = why
    return {
        "Action": action, "Status": status, "Diagnostic-Code": f"smtp; {words.format(to=to)}",
    }  # fmt: skip


def forwarded(return_path: str, to: str, tried: str, field: str = "") -> bytes:
    """Write the report about an address that a mailbox forwards to: both are named.

    Most servers call it the final recipient, and Sendmail the actual one.
    """
    fields = {"Final-Recipient": f"rfc822; {tried}", "Original-Recipient": f"rfc822; {to}"}
    if field:
        fields = {"Final-Recipient": f"rfc822; {to}", field: f"rfc822; {tried}"}
    return report(return_path, "delivery-status", SERVER, fields | _failure(tried))


def complaint(return_path: str, kind: str = "abuse", message_id: str = "") -> bytes:
    """Write the report of a mailbox whose owner called a mail of ours unwelcome."""
    fields = {
        "Feedback-Type": kind,
        "User-Agent": "ExampleFeedback/1.0",
        "Version": "1",
        "Original-Mail-From": f"<{return_path}>",
    }
    returned = f"Message-ID: {message_id}\n{HEAD}" if message_id else HEAD
    return report(return_path, "feedback-report", fields, returned=returned)


def apple(return_path: str) -> bytes:
    """Write what Apple's Mail sends when its own button to leave a list is pressed."""
    message = EmailMessage(policy=SMTP)
    message["From"] = "Somebody <somebody@example.org>"
    message["To"] = return_path
    message["Subject"] = "unsubscribe"
    message["Auto-Submitted"] = "auto-replied"
    message["X-Apple-Unsubscribe"] = "true"
    message.set_content("Apple Mail sent this email to unsubscribe from the message\n")
    return message.as_bytes()


def hand_back(services, return_path: str, message: bytes) -> None:
    """Keep a message that came back, as a mail server's pipe does."""
    sealed = pipe.seal_returned(services.sealer, return_path, message)
    pipe.store(services.settings.database_url, sealed)
