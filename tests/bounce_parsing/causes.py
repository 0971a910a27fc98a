"""Messages that come back, by the general cause that makes them hard to read."""

import json
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
    Case,
    diagnostics,
    dsn,
    exim,
    mail,
    qmail,
    report,
)

# A name, an action, a status, what the server said, and what that means.
ACTIONS = [
    ("an action nobody knows, with a status", "bounced", "5.1.1", "smtp; 550 user unknown", GONE),
    ("an action nobody knows, without one", "undeliverable", "", "smtp; 550 No such user", GONE),
    ("an action nobody knows, a temporary status", "waiting", "4.4.1", "smtp; no answer", LATE),
    ("an unheard-of success", "teleported", "2.0.0", "", OTHER),
    ("no action, a success", "", "2.1.5", "smtp; 250 ok", ARRIVED),
    ("an action in capitals", "DELIVERED", "2.0.0", "", ARRIVED),
    ("an action with a comment", "failed (no such mailbox)", "5.1.1", "", GONE),
    ("relayed", "relayed", "2.0.0", "", ARRIVED),
]
_JA = "MAILER-DAEMON@mail.example.jp"
# A name, a charset, what was written, and what that means.
CHARSETS = [
    (
        "iso-2022-jp, an unknown user",
        "iso-2022-jp",
        f"メールを配信できませんでした。\n\n{ADA}\n宛先のメールアドレスが存在しません。",
        GONE,
    ),
    (
        "iso-2022-jp, a full mailbox",
        "iso-2022-jp",
        f"次の宛先に送信できませんでした。\n\n{ADA}\nメールボックスの容量を超えています。",
        FINAL,
    ),
    (
        "shift_jis, an unknown user",
        "shift_jis",
        f"以下の宛先に配信できませんでした。\n\n<{ADA}>\nユーザーが見つかりません。",
        GONE,
    ),
    (
        "euc-jp, an unknown user",
        "euc-jp",
        f"送信できませんでした。\n\n<{ADA}>\nそのユーザは存在しません。",
        GONE,
    ),
    (
        "gb2312, an unknown user",
        "gb2312",
        f"您的邮件无法投递。\n\n收件人: {ADA}\n原因: 收件人不存在",
        GONE,
    ),
    ("gbk, a full mailbox", "gbk", f"退信\n\n<{ADA}>\n对方邮箱已满", FINAL),
    ("big5, an unknown user", "big5", f"您的郵件無法投遞。\n\n<{ADA}>\n收件人不存在", GONE),
    (
        "koi8-r, an unknown user",
        "koi8-r",
        f"Ваше сообщение не доставлено.\n\n<{ADA}>\nПользователь не найден.",
        GONE,
    ),
    (
        "windows-1251, a full mailbox",
        "windows-1251",
        f"Сообщение не может быть доставлено.\n\n<{ADA}>\nПочтовый ящик переполнен.",
        FINAL,
    ),
    (
        "windows-1252, spanish",
        "windows-1252",
        f"No se pudo entregar el mensaje.\n\n{ADA}\nEl buzón está lleno.",
        FINAL,
    ),
    (
        "euc-kr, an unknown user",
        "euc-kr",
        f"메일을 전송하지 못했습니다.\n\n<{ADA}>\n존재하지 않는 사용자입니다.",
        GONE,
    ),
]
_AU = f"Your mail sent on: Tue, 14 Jul 2026 09:00:00 +0900\n\nCould not be delivered to: {ADA}\n"
_HELD = "Your mail to 'Staff' with the subject\n\n    News for July\n\nIs being held until the list"
_FORWARDED = f"""Can you help? What is this?

---------- Forwarded message ---------
From: Mail Delivery Subsystem <mailer-daemon@example.com>
Date: Tue, Jul 14, 2026 at 9:00 AM
Subject: Delivery Status Notification (Failure)

Your message wasn't delivered to {ADA} because the address couldn't be found.
550 5.1.1 The email account that you tried to reach does not exist.
"""
_OUTLOOK = f"""Please take her off.

-----Original Message-----
From: Microsoft Outlook <postmaster@example.org>
Sent: Tuesday, July 14, 2026 9:00 AM
Subject: Undeliverable: News for July

Delivery has failed to these recipients or groups:
{ADA}
550 5.1.10 RESOLVER.ADR.RecipientNotFound
"""
_SES = {"notificationType": "Bounce", "bounce": {"bounceType": "Permanent", "bouncedRecipients": [
    {"emailAddress": ADA, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
]}}  # fmt: skip
_GRID = [{"email": ADA, "event": "bounce", "reason": "550 5.1.1 user unknown", "status": "5.1.1"}]

WORDS = [
    Case("au, a full mailbox", FINAL, mail(f"{_AU}\nAs their mailbox is full.\n")),
    Case(
        "au, an account that is gone",
        GONE,
        mail(
            f"Each of the following recipients was rejected by a remote mail server.\n\n"
            f"Recipient: <{ADA}>\nReason:    <{ADA}>: User unknown\n",
            subject="Mail System Error - Returned Mail",
        ),
    ),
    Case(
        "groupwise, no such user",
        GONE,
        mail(
            f"The message that you sent was undeliverable to the following:\n\n\t{ADA}"
            f" (user not found)\n\nPossibly truncated original message follows:\n\n{ORIGINAL}",
            subject="Message status - undeliverable",
        ),
    ),
    Case(
        "iplanet, unknown local user",
        GONE,
        mail(
            "This report relates to a message you sent with the following header fields:\n\n"
            "  Subject: News for July\n\nYour message cannot be delivered to the following"
            f" recipients:\n\n  Recipient address: {ADA}\n  Reason: unknown or illegal alias:"
            " ada\n",
            sender="Internet Mail Delivery <postmaster@mx.example.org>",
            subject="Delivery Notification: Delivery has failed",
        ),
    ),
    Case(
        "iplanet, over quota",
        FINAL,
        mail(
            "Your message cannot be delivered to the following recipients:\n\n"
            f"  Recipient address: {ADA}\n  Reason: Over quota\n",
            sender="Internet Mail Delivery <postmaster@mx.example.org>",
            subject="Delivery Notification: Delivery has failed",
        ),
    ),
    Case(
        "domino, a route that it does not find",
        FINAL,
        mail(
            f"Your message\n\n  Subject: News\n\nwas not delivered to:\n\n  {ADA}\n\nbecause:\n\n"
            "  No route found to domain example.org from server mx/Example.\n",
            sender="Postmaster@notes.example.org",
            subject="DELIVERY FAILURE: No route found",
        ),
    ),
    Case(
        "qmail, a host that does not exist",
        FINAL,
        qmail("Sorry, I couldn't find any host named example.org. (#5.1.2)"),
    ),
    Case(
        "qmail, a loop",
        FINAL,
        qmail("This message is looping: it already has my Delivered-To line. (#5.4.6)"),
    ),
    Case("qmail, disabled", FINAL, qmail("Mailaddress is administratively disabled. (#5.2.1)")),
    Case(
        "qmail, a greeting of 421",
        PASSING,
        qmail(
            "Connected to 192.0.2.1 but greeting failed.\nRemote host said: 421 Too busy\n"
            "I'm not going to try again; this message has been in the queue too long."
        ),
    ),
    Case(
        "exim, a full mailbox",
        FINAL,
        exim("mailbox is full (MTA-imposed quota exceeded while writing to file /var/mail/ada)"),
    ),
    Case(
        "exim, no host left",
        PASSING,
        exim("host mx.example.org [192.0.2.1]: Connection timed out: retry timeout exceeded"),
    ),
    Case(
        "exim, 421 before anything",
        PASSING,
        exim(
            "SMTP error from remote mail server after initial connection:\n"
            "    421 mx.example.org too many connections from you"
        ),
    ),
    Case("exim, an unknown user without a code", GONE, exim("no such person at this address")),
    Case(
        "google, not found",
        GONE,
        mail(
            f"<html><body><h2>Address not found</h2><p>Your message wasn't delivered to"
            f" <b>{ADA}</b>"
            " because the address couldn't be found, or is unable to receive"
            " mail.</p></body></html>",
            sender="Mail Delivery Subsystem <mailer-daemon@googlemail.example.com>",
            subject="Delivery Status Notification (Failure)",
            kind="text/html",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "google, a group that may not exist",
        FINAL,
        mail(
            "We're writing to let you know that the group you tried to contact (staff) may not"
            " exist,"
            " or you may not have permission to post messages to the group.",
            sender="Mail Delivery Subsystem <mailer-daemon@googlemail.example.com>",
            subject="Delivery Status Notification (Failure)",
            headers=["X-Failed-Recipients: staff@example.org"],
        ),
    ),
    Case(
        "exchange, a full mailbox in words",
        FINAL,
        mail(
            f"Delivery has failed to these recipients or groups:\n\n{ADA}\nThe recipient's"
            " mailbox is"
            " full and can't accept messages now.\n",
            sender=EXCHANGE,
            subject="Undeliverable: News for July",
        ),
    ),
    Case(
        "mailman holds",
        AUTO,
        mail(
            f"{_HELD} moderator can review it for approval.\n\nThe reason it is being held:\n\n"
            "    Post by non-member to a members-only list\n",
            sender="staff-bounces@lists.example.org",
            subject="Your message to Staff awaits moderator approval",
            headers=["Precedence: bulk", "List-Id: <staff.lists.example.org>"],
        ),
    ),
    Case(
        "mailman refuses",
        FINAL,
        mail(
            "You are not allowed to post to this mailing list, and your message has been"
            " automatically rejected.  If you think that your messages are being rejected in error,"
            " contact the mailing list owner at staff-owner@lists.example.org.",
            sender="staff-bounces@lists.example.org",
            subject="News for July",
            headers=["Auto-Submitted: auto-replied", "List-Id: <staff.lists.example.org>"],
        ),
    ),
    Case(
        "ezmlm refuses",
        FINAL,
        mail(
            "Hi. This is the qmail-send program.\n\n<staff@lists.example.org>:\nSorry, only"
            " subscribers may post. If you are a subscriber, please forward this message to"
            " staff-owner@lists.example.org to get your new address included (#5.7.2)",
            sender="MAILER-DAEMON@lists.example.org",
            subject="failure notice",
        ),
    ),
    Case(
        "a challenge without a mark",
        AUTO,
        mail(
            "Your message to ada@example.org has been held because you are not on her list.\n"
            "To have it delivered, please reply to this email once. You need to do this only once.",
            sender="Ada <ada+confirm@example.org>",
            subject="Please confirm your message to ada@example.org",
        ),
    ),
    Case(
        "a challenge by a link",
        AUTO,
        mail(
            "I'm protecting myself from receiving junk mail. Click the link below to complete the"
            " verification process: https://arrest.example/verify",
            sender=f"Ada <{ADA}>",
            subject="Re: News for July (verification required)",
        ),
    ),
    Case("forwarded by hand", OTHER, mail(_FORWARDED, sender=PERSON, subject="Help")),
    Case(
        "forwarded by hand, with its subject",
        OTHER,
        mail(_FORWARDED, sender=PERSON, subject="Delivery Status Notification (Failure)"),
    ),
    Case(
        "forwarded from outlook",
        OTHER,
        mail(_OUTLOOK, sender=PERSON, subject="Undeliverable: News for July"),
    ),
    Case("a webhook's json", OTHER, json.dumps(_SES).encode()),
    Case(
        "a webhook's json, mailed",
        OTHER,
        mail(
            json.dumps(_SES),
            sender="AWS Notifications <no-reply@sns.example.com>",
            subject="AWS Notification Message",
        ),
    ),
    Case("a webhook's json, indented", OTHER, json.dumps(_GRID, indent=1).encode()),
    Case(
        "a webhook's complaint",
        OTHER,
        json.dumps(
            {"notificationType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}},
            indent=2,
        ).encode(),
    ),
    Case(
        "a complaint in words",
        COMPLAINT,
        mail(
            "This is an email abuse report for an email message received from IP 192.0.2.3 on"
            " Tue, 14"
            f" Jul 2026.\nThe message was marked as spam by its recipient.\n\n{ORIGINAL}",
            sender="feedback@isp.example.com",
            subject="Email Feedback Report for IP 192.0.2.3",
        ),
    ),
    Case(
        "spamcop",
        COMPLAINT,
        mail(
            "[ SpamCop V5.4 ]\nThis message is brief for your comfort.\n\n"
            "Email from 192.0.2.3 / Tue, 14 Jul 2026\nhttps://spamcop.example/w3m?i=z1\n\n"
            f"[ Offending message ]\n{ORIGINAL}",
            sender="1234@reports.spamcop.example",
            subject="[SpamCop (192.0.2.3) id:1234]News for July",
        ),
    ),
    Case(
        "notes is away",
        AUTO,
        mail(
            "I am out of the office until 07/20/2026.\n\nI will answer when I return.\n\nNote:"
            " This is"
            ' an automated response to your message "News for July" sent on 07/14/2026.\n',
            sender=f"Ada <{ADA}>",
            subject="AUTO: Ada Lund is out of the office (returning 07/20)",
        ),
    ),
    Case(
        "away for good",
        AUTO,
        mail(
            "Ada no longer works here. This mailbox is not monitored, your message will not be"
            " delivered. User unknown? Write to the office.",
            sender=f"Ada <{ADA}>",
            subject="Automatic reply: News for July",
        ),
    ),
    Case(
        "nobody reads here",
        AUTO,
        mail(
            "Your message could not be delivered to a person, as no one reads this mailbox.",
            sender="noreply@example.org",
            subject="Re: News for July",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
    Case(
        "deleted unread",
        AUTO,
        report(
            "disposition-notification",
            "Your message was deleted without being read.",
            f"Final-Recipient: rfc822;{ADA}\nDisposition: automatic-action/MDN-sent-automatically;"
            " deleted\n",
            sender=f"Ada <{ADA}>",
            subject="Not read: News for July",
        ),
    ),
    Case(
        "a person tells of a bounce",
        OTHER,
        mail(
            "My mail to you came back: user unknown, it said. Is your address right?",
            sender=PERSON,
            subject="Your mail failed",
        ),
    ),
]

CAUSES: Final = [
    *diagnostics("causes"),
    *(
        Case(f"action: {name}", then, dsn(status, words, action=action))
        for name, action, status, words, then in ACTIONS
    ),
    *(
        Case(f"charset: {name}", then, mail(text, sender=_JA, charset=charset, subject="Failure"))
        for name, charset, text, then in CHARSETS
    ),
    *WORDS,
]
