"""Messages that come back, as each program, service and person words them: not by cause.

Written after `causes.py` had been read right, and before anything was changed for these.
"""

import base64
from typing import Final

from tests.bounce_parsing.builders import (
    ADA,
    ARRIVED,
    AUTO,
    COMPLAINT,
    EXCHANGE,
    FINAL,
    GONE,
    LATE,
    ORIGINAL,
    OTHER,
    PASSING,
    PERSON,
    RETURN_PATH,
    Case,
    diagnostics,
    dsn,
    exim,
    mail,
    qmail,
    report,
)

_AMAZON = "MAILER-DAEMON@amazonses.example.com"
_GOOGLE = "Mail Delivery Subsystem <mailer-daemon@googlemail.example.com>"

_HELD_AT_SCHOOL = (
    f"The message that you sent to {ADA} was quarantined because your address is not on the list of"
    " approved senders. To release it, click the link and confirm that you are a person."
)
_DELIVERED_LATER = "We have not been able to deliver it yet and will keep trying for two more days."

WRITTEN = [
    Case(
        "amazon, unknown",
        GONE,
        dsn(
            "5.1.1",
            "smtp; 550 5.1.1 user unknown",
            sender=_AMAZON,
            text="An error occurred while trying to deliver the mail to the following recipients:"
            f"\n{ADA}",
        ),
    ),
    Case(
        "amazon, put off to the end",
        PASSING,
        dsn(
            "4.4.7",
            "smtp; 554 4.4.7 Message expired:"
            " unable to deliver in 840 minutes.<421 4.4.1 Unable to connect to remote host>",
            sender=_AMAZON,
        ),
    ),
    Case(
        "google, full, in words",
        FINAL,
        mail(
            f"** Recipient inbox full **\n\nYour message couldn't be delivered to {ADA}. Their"
            " inbox is"
            " full, or it's getting too much mail right now.",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Failure)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "google, blocked, in words",
        FINAL,
        mail(
            f"** Message blocked **\n\nYour message to {ADA} has been blocked. See technical"
            " details"
            " below for more information.\n\nThe response was:\n550 5.7.1 unsolicited mail",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Failure)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "google, late, in words",
        LATE,
        mail(
            f"** Delivery incomplete **\n\nThere was a temporary problem delivering your message"
            f" to {ADA}."
            " Gmail will retry for 46 more hours. You'll be notified if the delivery fails"
            " permanently.",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Delay)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "exchange, html, who is unknown",
        GONE,
        mail(
            f"<p>Delivery has failed to these recipients or groups:</p><p>{ADA}<br>The email"
            " address"
            " you entered couldn't be found. Please check the recipient's email address and try to"
            " resend the message.</p><p>Generating server: ex.example.org<br>Remote Server returned"
            " '550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found'</p>",
            sender=EXCHANGE,
            subject="Undeliverable: News for July",
            kind="text/html",
        ),
    ),
    Case(
        "exchange, german",
        GONE,
        mail(
            f"Fehler bei der Nachrichtenzustellung an folgende Empfänger oder"
            f" Gruppen:\n\n{ADA}\nDie"
            " eingegebene E-Mail-Adresse konnte nicht gefunden werden.\n\n#550 5.1.10"
            " RESOLVER.ADR.RecipientNotFound ##",
            sender=EXCHANGE,
            charset="windows-1252",
            subject="Unzustellbar: News for July",
        ),
    ),
    Case("exchange, expanded", ARRIVED, dsn("2.0.0", "", action="expanded", sender=EXCHANGE)),
    Case(
        "exchange, relayed, in words",
        ARRIVED,
        mail(
            "Delivery to these recipients or groups is complete, but no delivery notification was"
            " sent"
            f" by the destination server:\n\n{ADA}",
            sender=EXCHANGE,
            subject="Relayed: News for July",
        ),
    ),
    Case(
        "exchange, late",
        LATE,
        dsn(
            "4.4.7",
            "",
            action="delayed",
            sender=EXCHANGE,
            text=f"Delivery is delayed to these recipients:\n{ADA}\n{_DELIVERED_LATER}",
        ),
    ),
    Case(
        "domino, unknown",
        GONE,
        mail(
            f"Your message\n\n  Subject: News\n\nwas not delivered to:\n\n  {ADA}\n\nbecause:\n\n"
            "  User"
            " ada (ada@example.org) not listed in Domino Directory\n",
            sender="Postmaster@notes.example.org",
            subject="DELIVERY FAILURE: User ada not listed in Domino Directory",
        ),
    ),
    Case(
        "domino, full",
        FINAL,
        mail(
            f"Your message\n\n  Subject: News\n\nwas not delivered to:\n\n  {ADA}\n\nbecause:\n\n"
            "  Unable"
            " to deliver message: the recipient's mail file has exceeded its quota\n",
            sender="Postmaster@notes.example.org",
            subject="DELIVERY FAILURE: over quota",
        ),
    ),
    Case(
        "courier, unknown",
        GONE,
        dsn(
            "5.0.0", "smtp; 550 User unknown.", sender='"Courier mail server at mx.example.org" <@>'
        ),
    ),
    Case(
        "courier, late",
        LATE,
        dsn("4.0.0", "", action="delayed", sender='"Courier mail server at mx.example.org" <@>'),
    ),
    Case(
        "mercury, not known",
        GONE,
        mail(
            f"The following recipients could not be reached:\n\n   {ADA}: user not known at this"
            " site.",
            sender='"Electronic Postmaster" <postmaster@nw.example.org>',
            subject="Postmaster Notify: Delivery Failure.",
        ),
    ),
    Case(
        "firstclass, no such account",
        GONE,
        mail(
            f"Could not deliver mail to {ADA}: that name is not in the directory, no such account.",
            sender="postmaster@fc.example.org",
            subject="NDN: News for July",
        ),
    ),
    Case(
        "interscan talks",
        GONE,
        mail(
            f"Sent >>> RCPT TO: <{ADA}>\nReceived <<< 550 5.1.1 Mailbox unknown\n\nUnable to"
            " deliver"
            " message to <ada@example.org>.",
            sender="MAILER-DAEMON@scan.example.org",
            subject="Mail could not be delivered",
        ),
    ),
    Case(
        "qmail, a policy from afar",
        FINAL,
        qmail("192.0.2.1 failed after I sent the message.\nRemote host said: 554 5.7.1 Spam"),
    ),
    Case("qmail, full", FINAL, qmail("The user is over quota. (#5.2.2)")),
    Case(
        "qmail, vpopmail's full",
        FINAL,
        qmail("Recipient's mailbox is full, message returned to sender. (#5.2.2)"),
    ),
    Case(
        "qmail, a name server that is out",
        PASSING,
        qmail(
            "CNAME lookup failed temporarily. (#4.4.3)\nI'm not going to try again; this message"
            " has been"
            " in the queue too long."
        ),
    ),
    Case(
        "exim, no mail exchanger",
        FINAL,
        exim("all relevant MX records point to non-existent hosts"),
    ),
    Case("exim, unrouteable", GONE, exim("Unrouteable address")),
    Case(
        "exim, after data",
        FINAL,
        exim(
            "host mx.example.org [192.0.2.1]\n    SMTP error from remote mail server after end of"
            " data:\n"
            "    550 mailbox unavailable"
        ),
    ),
    Case(
        "exim, greylisted to the end",
        PASSING,
        exim(
            "SMTP error from remote mail server after RCPT TO:<ada@example.org>:\n"
            "    451 4.7.1 Greylisted: retry timeout exceeded"
        ),
    ),
    Case(
        "exim, a pipe",
        FINAL,
        exim(
            "generated by |/usr/bin/procmail\n    Child process of"
            " address_pipe transport returned 127 from command"
        ),
    ),
    Case(
        "iplanet, a host that is none",
        FINAL,
        mail(
            "Your message cannot be delivered to the following recipients:\n\n"
            f"  Recipient address: {ADA}\n  Reason: Illegal host/domain name found\n",
            sender="Internet Mail Delivery <postmaster@mx.example.org>",
            subject="Delivery Notification: Delivery has failed",
        ),
    ),
    Case(
        "a bounce in base64 without fields",
        GONE,
        b"From: MAILER-DAEMON@mx.example.org\nSubject: Returned mail\nMIME-Version: 1.0\n"
        b"Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: base64\n\n"
        + base64.b64encode(f"No such user: {ADA}\n".encode()),
    ),
    Case(
        "a japanese subject in its charset",
        GONE,
        mail(
            f"送信されたメールは不達となりました。\n\n<{ADA}>: 宛先不明",
            sender="postmaster@mail.example.jp",
            charset="iso-2022-jp",
            subject=f"=?ISO-2022-JP?B?{base64.b64encode('配信不能'.encode('iso-2022-jp')).decode()}?=",
        ),
    ),
    Case(
        "a russian delay",
        LATE,
        mail(
            f"Письмо для {ADA} пока не доставлено. Попытки будут продолжены.",
            charset="koi8-r",
            sender="mailer-daemon@mail.example.ru",
            subject="Delivery delayed",
        ),
    ),
    Case(
        "listserv refuses",
        FINAL,
        mail(
            "You are not authorized to send mail to the STAFF list from your belong@example.org"
            " account."
            " You might be authorized from another account.",
            sender="LISTSERV@lists.example.org",
            subject="Rejected posting to STAFF@lists.example.org",
        ),
    ),
    Case(
        "sympa refuses",
        FINAL,
        mail(
            "Your message for list 'staff' has been rejected. You are not allowed to send this"
            " message"
            " for the following reason: only members may post.",
            sender="SYMPA <sympa@lists.example.org>",
            subject="Message distribution: staff",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
    Case(
        "majordomo holds",
        AUTO,
        mail(
            "Your posting to the staff list has been forwarded to the list's owner for approval;"
            " it is"
            " waiting for a moderator.",
            sender="owner-staff@lists.example.org",
            subject="Your posting to staff: Approval required",
        ),
    ),
    Case(
        "google groups holds",
        AUTO,
        mail(
            "Hello,\n\nYour message to staff is awaiting approval. The group is moderated, so your"
            " message was held for review.",
            sender="staff+noreply@groups.example.com",
            subject="Message to staff pending",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
    Case(
        "a quarantine asks",
        AUTO,
        mail(
            _HELD_AT_SCHOOL,
            sender="filter@example.org",
            subject="Action required: your message to Ada",
        ),
    ),
    Case(
        "boxtrapper asks",
        AUTO,
        mail(
            "The message you sent requires that you verify that you are a real live human being"
            " and not"
            " a spam source.\n\nTo complete this verification, simply reply to this message and"
            " leave"
            " the subject line intact.",
            sender=f"Ada <{ADA}>",
            subject="Your email requires verification verify#Zx81",
        ),
    ),
    Case(
        "another list asks whether we joined",
        OTHER,
        mail(
            "Please confirm your subscription by clicking the link below. If you did not ask for"
            " it,"
            " do nothing.",
            sender="news@club.example.com",
            subject="Confirm your subscription",
        ),
    ),
    Case(
        "a vacation program answers",
        AUTO,
        mail(
            "I am away until Monday.",
            sender=f"Ada <{ADA}>",
            subject="Re: News for July",
            headers=["Precedence: junk", "Auto-Submitted: auto-replied (vacation)"],
        ),
    ),
    Case(
        "a phone answers",
        AUTO,
        mail(
            "I'm on leave.",
            sender=f"Ada <{ADA}>",
            subject="Out of Office: News for July",
            headers=["X-Auto-Response-Suppress: All"],
        ),
    ),
    Case(
        "notes is away, in german",
        AUTO,
        mail(
            "Ich bin bis 20.07. abwesend und antworte nach meiner Rückkehr.",
            sender=f"Ada <{ADA}>",
            subject="AUTO: Ada Lund ist abwesend (Rückkehr am 20.07.2026)",
            charset="iso-8859-1",
        ),
    ),
    Case(
        "a club whose subject begins like that",
        OTHER,
        mail(
            "The new models are here, come and see.", sender=PERSON, subject="Auto: the new models"
        ),
    ),
    Case(
        "shown to a person",
        AUTO,
        report(
            "disposition-notification",
            "Your message was displayed.",
            f"Final-Recipient: rfc822;{ADA}\n"
            "Disposition: manual-action/MDN-sent-manually; displayed\n",
            sender=f"Ada <{ADA}>",
            subject="Read: News for July",
        ),
    ),
    Case(
        "arf by another hand",
        COMPLAINT,
        report(
            "feedback-report",
            "A complaint.",
            "Feedback-Type: abuse\nUser-Agent: fbl/1\nVersion: 1\n",
            sender="fbl@isp.example.com",
            subject="FW: News for July",
        ),
    ),
    Case(
        "a provider forwards a complaint",
        COMPLAINT,
        mail(
            "The following message was reported as spam by one of our customers. Please take the"
            " address"
            f" from your list.\n\n----- Original Message -----\n\n{ORIGINAL}",
            sender="abuse@isp.example.com",
            subject="Abuse complaint about 192.0.2.3",
        ),
    ),
    Case(
        "a provider's users complain",
        COMPLAINT,
        mail(
            f"We have received a complaint about the message below.\n\n{ORIGINAL}",
            sender="abuse@isp.example.com",
            subject="[Abuse] spam complaint",
        ),
    ),
    Case(
        "a person forwards, and writes above it",
        OTHER,
        mail(
            "Fyi, see below. She left in June.\n\n> From: Mail Delivery System"
            " <mailer-daemon@example.com>"
            f"\n> Subject: Undelivered Mail\n>\n> <{ADA}>: 550 5.1.1 User unknown\n",
            sender=PERSON,
            subject="Fw: Undelivered Mail Returned to Sender",
        ),
    ),
    Case(
        "a person forwards from a phone",
        OTHER,
        mail(
            "Begin forwarded message:\n\nFrom: Mail Delivery System"
            " <MAILER-DAEMON@mx.example.org>\n"
            f"Subject: Undelivered Mail Returned to Sender\nTo: {RETURN_PATH}\n\nThis is the mail"
            " system"
            f" at host mx.\n\n<{ADA}>: host mx said: 550 5.1.1 User unknown",
            sender=PERSON,
            subject="Undelivered Mail Returned to Sender",
        ),
    ),
    Case(
        "a mailgun event",
        OTHER,
        b'{"signature": {"token": "x"}, "event-data": {"event": "failed", "severity": "permanent",'
        b' "recipient": "ada@example.org", "delivery-status": {"code": 550, "message": "5.1.1 User'
        b' unknown"}}}',
    ),
    Case(
        "a postmark event",
        OTHER,
        b'{\n  "RecordType": "Bounce",\n  "Type": "HardBounce",\n  "Description": "The server was'
        b' unable to deliver your message (ex: unknown user).",\n  "Email": "ada@example.org"\n}\n',
    ),
    Case(
        "a service posts json by email",
        OTHER,
        mail(
            '{"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 <ada@example.org>: user'
            ' unknown", "subject": "Undelivered Mail Returned to Sender"}',
            sender="events@service.example.com",
            subject="Event: bounce",
            kind="application/json",
        ),
    ),
    Case(
        "a colleague's list of failures",
        OTHER,
        mail(
            "These came back:\nada@example.org user unknown\nbo@example.org mailbox full",
            sender=PERSON,
            subject="returned mail this week",
        ),
    ),
]

SERVERS: Final = [
    *diagnostics("servers"),
    *WRITTEN,
]
