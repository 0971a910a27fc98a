"""Build messages that come back, as servers and people write them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ADA: Final = "ada@example.org"
RETURN_PATH: Final = "b+mfrggzdfmztwq2lk@belong.example.org"
POSTFIX: Final = "MAILER-DAEMON@mx.example.org (Mail Delivery System)"
EXCHANGE: Final = "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615@example.org>"
PERSON: Final = "Bo Berg <bo@example.com>"
ORIGINAL: Final = (
    f"Return-Path: <{RETURN_PATH}>\nFrom: belong@example.org\nSubject: News for July\n"
)
# What a message is to be read as: kind, permanence or "-", "suppress" or "keep".
GONE: Final = ("bounce", "permanent", "suppress")
FINAL: Final = ("bounce", "permanent", "keep")
PASSING: Final = ("bounce", "temporary", "keep")
LATE: Final = ("delayed", "temporary", "keep")
ARRIVED: Final = ("delivered", "-", "keep")
COMPLAINT: Final = ("complaint", "-", "suppress")
AUTO: Final = ("auto-reply", "-", "keep")
OTHER: Final = ("other", "-", "keep")
_SHORT: Final = {"GONE": GONE, "FINAL": FINAL, "PASSING": PASSING, "LATE": LATE}
_FOLDER: Final = Path(__file__).parent / "diagnostics"


@dataclass(frozen=True, slots=True)
class Case:
    """A message, and what it is to be read as."""

    name: str
    expected: tuple[str, str, str]
    data: bytes

    def __str__(self) -> str:
        return self.name


def mail(
    text: str,
    *,
    sender: str = POSTFIX,
    subject: str = "Undelivered Mail Returned to Sender",
    charset: str = "utf-8",
    kind: str = "text/plain",
    headers: Iterable[str] = (),
) -> bytes:
    """Build a message of one part, in its charset as it stands."""
    lines = [f"From: {sender}", f"To: {RETURN_PATH}", f"Subject: {subject}", *headers]
    lines += ["MIME-Version: 1.0", f"Content-Type: {kind}; charset={charset}"]
    lines += ["Content-Transfer-Encoding: 8bit", "", text]
    return "\n".join(lines).encode(charset)


def dsn(
    status: str,
    diagnostic: str,
    *,
    action: str = "failed",
    sender: str = POSTFIX,
    text: str = "This is the mail system. Your message came to no good end.",
    recipient: str = ADA,
    extra: str = "",
) -> bytes:
    """Build a report in the form of RFC 3464; empty fields are left out."""
    fields = {
        "Final-Recipient": f"rfc822; {recipient}",
        "Action": action,
        "Status": status,
        "Diagnostic-Code": diagnostic,
    }
    return report(
        "delivery-status",
        text,
        "Reporting-MTA: dns; mx.example.org\n\n"
        + "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
        + extra,
        sender=sender,
        subject="Undelivered Mail Returned to Sender",
    )


def report(kind: str, text: str, fields: str, *, sender: str, subject: str) -> bytes:
    """Build a `multipart/report` (RFC 6522) with the message that came back."""
    parts = {"text/plain; charset=utf-8": text, f"message/{kind}": fields}
    parts["text/rfc822-headers"] = ORIGINAL
    body = "".join(f"--b\nContent-Type: {name}\n\n{part}\n" for name, part in parts.items())
    head = f"From: {sender}\nTo: {RETURN_PATH}\nSubject: {subject}\nMIME-Version: 1.0\n"
    head += f"Content-Type: multipart/report; report-type={kind}; boundary=b\n\n"
    return f"{head}{body}--b--\n".encode()


def qmail(answer: str) -> bytes:
    """Build what qmail writes, without fields."""
    return mail(
        "Hi. This is the qmail-send program at mx.example.org.\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        "This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        f"<{ADA}>:\n{answer}\n\n--- Below this line is a copy of the message.\n\n{ORIGINAL}",
        sender="MAILER-DAEMON@mx.example.org",
        subject="failure notice",
    )


def exim(answer: str, *, recipient: str = ADA) -> bytes:
    """Build what Exim writes, without fields."""
    return mail(
        "This message was created automatically by mail delivery software.\n\n"
        "A message that you sent could not be delivered to one or more of its\n"
        "recipients. This is a permanent error. The following address(es) failed:\n\n"
        f"  {recipient}\n    {answer}\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{ORIGINAL}",
        sender="Mail Delivery System <Mailer-Daemon@relay.example.com>",
        subject="Mail delivery failed: returning message to sender",
        headers=[f"X-Failed-Recipients: {recipient}", "Auto-Submitted: auto-replied"],
    )


def diagnostics(name: str) -> list[Case]:
    """Build a report of each line of a file: `name | meaning | status | what the server said`."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    cases = []
    for line in lines:
        title, short, status, *said = (field.strip() for field in line.split("|", 3))
        data = dsn(status.removeprefix("-"), "".join(said))
        cases.append(Case(f"{name}: {title}", _SHORT[short], data))
    return cases
