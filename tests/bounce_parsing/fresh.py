"""Messages that come back, whole, as many servers and services write them today."""

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
    RETURN_PATH,
    Case,
    diagnostics,
    dsn,
    exim,
    mail,
    qmail,
)

_GOOGLE: Final = "Mail Delivery Subsystem <mailer-daemon@googlemail.example>"
_HEADED: Final = f"Received: from relay.example.net\n{ORIGINAL}"
_WRAPPED: Final = f"\n\n----- Original message -----\n\n{_HEADED}\n\nHello"

WORDED = [
    Case(
        "gmail's new layout, not found",
        GONE,
        mail(
            f"** Address not found **\n\nYour message wasn't delivered to {ADA} because the"
            " address couldn't be found, or is unable to receive mail.\n\nLearn more here:"
            " https://support.example/?p=NoSuchUser\n\nThe response was:\n\n550 5.1.1 The email"
            " account that you tried to reach does not exist.",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Failure)",
            headers=["Auto-Submitted: auto-replied", f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "gmail in spanish, not found",
        GONE,
        mail(
            f"** No se ha encontrado la dirección **\n\nTu mensaje no se ha entregado a {ADA}"
            " porque no se ha encontrado la dirección o no puede recibir correo.\n\nLa respuesta"
            " fue:\n\n550 5.1.1 The email account that you tried to reach does not exist.",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Failure)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "gmail, the domain is not found",
        FINAL,
        mail(
            f"** Address not found **\n\nYour message wasn't delivered to {ADA} because the domain"
            " example.org couldn't be found. Check for typos or unnecessary spaces and try"
            " again.\n\nThe response was:\n\nDNS Error: DNS type 'mx' lookup of example.org"
            " responded with code NXDOMAIN Domain name not found: example.org",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Failure)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "gmail, gave up after days",
        PASSING,
        mail(
            f"** Message not delivered **\n\nThere was a problem delivering your message to {ADA}."
            " See the technical details below.\n\nThe response was:\n\nThe recipient server did"
            " not accept our requests to connect. [mx.example.org 192.0.2.2: timed out]",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Failure)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "exchange online in french",
        GONE,
        mail(
            f"Échec de la remise à ces destinataires ou groupes :\n\n{ADA}\nL’adresse de messagerie"
            " que vous avez entrée est introuvable.\n\nInformations de diagnostic :\nRemote server"
            " returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found'" + _WRAPPED,
            sender=EXCHANGE,
            subject="Non remis : News for July",
        ),
    ),
    Case(
        "exchange online in portuguese, full",
        FINAL,
        mail(
            f"Falha na entrega para estes destinatários ou grupos:\n\n{ADA}\nA caixa de correio do"
            " destinatário está cheia e não pode aceitar mensagens agora.\n\nRemote Server returned"
            " '554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException'",
            sender=EXCHANGE,
            subject="Não entregue: News for July",
        ),
    ),
    Case(
        "exchange online in spanish, a restriction",
        FINAL,
        mail(
            f"No se pudo entregar el mensaje a estos destinatarios o grupos:\n\n{ADA}\nEl grupo"
            " solo acepta mensajes de personas de su organización.\n\nRemote Server returned '550"
            " 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required'",
            sender=EXCHANGE,
            subject="No se puede entregar: News for July",
        ),
    ),
    Case(
        "exchange in italian",
        GONE,
        mail(
            f"Il recapito non è riuscito per i seguenti destinatari:\n\n{ADA}\nImpossibile trovare"
            " l'indirizzo immesso.\n\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##",
            sender=EXCHANGE,
            subject="Non recapitabile: News for July",
        ),
    ),
    Case(
        "exchange in dutch",
        GONE,
        mail(
            f"Kan het bericht niet bezorgen bij deze geadresseerden:\n\n{ADA}\nHet e-mailadres is"
            " niet gevonden.\n\nRemote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'",
            sender=EXCHANGE,
            subject="Onbestelbaar: News for July",
        ),
    ),
    Case(
        "icloud in words",
        GONE,
        mail(
            "This message was created automatically by the mail system.\n\nYour message could not"
            f" be delivered to the following recipient:\n\n<{ADA}>: host mx01.mail.icloud.example"
            f" said: 550 5.1.1 <{ADA}>: user does not exist (in reply to RCPT TO command)"
            + _WRAPPED,
        ),
    ),
    Case(
        "zimbra's daemon, full",
        FINAL,
        mail(
            "This is the mail system at host mail.zimbra.example.\n\nI'm sorry to have to inform"
            f" you that your message could not be delivered.\n\n<{ADA}>: host mail.example"
            "[10.0.0.2] said: 552 5.2.2 Over quota (in reply to end of DATA command)" + _WRAPPED,
        ),
    ),
    Case(
        "mailenable's postmaster",
        GONE,
        mail(
            "MailEnable: Message Delivery Failure.\n\nThe following recipient(s) could not be"
            f" reached:\n\nRecipient: [SMTP:{ADA}]\nReason: The mailbox could not be found: 550"
            " Requested action not taken: mailbox unavailable or not local" + _WRAPPED,
            sender='"Postmaster" <postmaster@mail.example>',
            subject="Message Delivery Failure",
        ),
    ),
    Case(
        "hmailserver's daemon",
        GONE,
        mail(
            "Your message did not reach some or all of the intended recipients.\n\n   Sent: Mon, 6"
            f" Jul 2026 10:00:00\n   Subject: News for July\n\nThe following recipient(s) could not"
            f" be reached:\n\n{ADA}\n   Error Type: SMTP\n   Remote server (192.0.2.3) issued an"
            f" error.\n   hMailServer sent: RCPT TO:<{ADA}>\n   Remote server replied: 550 Unknown"
            " user\n\nhMailServer",
            sender="mailer-daemon@host.example",
            subject="Message undeliverable: News for July",
        ),
    ),
    Case(
        "hmailserver gave up",
        PASSING,
        mail(
            "Your message did not reach some or all of the intended recipients.\n\nThe following"
            f" recipient(s) could not be reached:\n\n{ADA}\n   Error Type: SMTP\n   Connection to"
            " recipients server failed.\n   Error: Host name: mx.example.org, message: Connection"
            " timed out\n   Tried 4 time(s)\n\nhMailServer",
            sender="mailer-daemon@host.example",
            subject="Message undeliverable: News for July",
        ),
    ),
    Case(
        "groupwise, in words",
        GONE,
        mail(
            f"The message that you sent was undeliverable to the following:\n\t{ADA} (user not"
            " found)\n\nPossibly truncated original message follows:\n\n" + ORIGINAL,
            sender="Mailer-Daemon@gw.example",
            subject="Message status - undeliverable",
        ),
    ),
    Case(
        "domino, in words",
        GONE,
        mail(
            f"Your message\n\n  Subject: News for July\n\nwas not delivered to:\n\n  {ADA}\n\n"
            f"because:\n\n  User Ada ({ADA}) not listed in Domino Directory",
            sender="Postmaster@notes.example",
            subject="DELIVERY FAILURE: User Ada not listed in Domino Directory",
        ),
    ),
    Case(
        "domino, in german",
        FINAL,
        mail(
            f"Ihre Nachricht\n\n  Betreff: News for July\n\nwurde nicht zugestellt an:\n\n  {ADA}"
            "\n\nda:\n\n  552 5.2.2 Mailbox full",
            sender="Postmaster@notes.example",
            subject="Zustellungsfehler: 552 5.2.2 Mailbox full",
            charset="iso-8859-1",
        ),
    ),
    Case(
        "barracuda in front",
        FINAL,
        mail(
            "This message was created automatically by mail delivery software.\n\nA message that"
            f" you sent could not be delivered:\n\n  {ADA}\n    host barracuda.example.org"
            " [192.0.2.4]\n    SMTP error from remote mail server after end of data:\n    550"
            " Message was blocked by the recipient's spam filter" + _WRAPPED,
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case(
        "kddi, iso-2022-jp",
        GONE,
        mail(
            f"次のあて先へのメールは送信できませんでした。\n\n<{ADA}>: 550 User unknown\n\n"
            "宛先のメールアドレスをご確認ください。",
            sender="Mail Administrator <Postmaster@ezweb.example.jp>",
            subject="Mail System Error - Returned Mail",
            charset="iso-2022-jp",
        ),
    ),
    Case(
        "docomo, iso-2022-jp, a domain that refuses",
        FINAL,
        mail(
            f"メールを送信できませんでした。\n\n宛先: {ADA}\n"
            "受信側の設定により受信拒否されました。",
            sender="postmaster@docomo.example.jp",
            subject="Undelivered",
            charset="iso-2022-jp",
        ),
    ),
    Case(
        "softbank, iso-2022-jp",
        GONE,
        mail(
            f"このメールは配信できませんでした。\n\n{ADA}\n\n550 Invalid recipient\n"
            "メールアドレスが見つかりません。",
            sender="MAILER-DAEMON@softbank.example.jp",
            charset="iso-2022-jp",
        ),
    ),
    Case(
        "a japanese host, full, shift_jis",
        FINAL,
        mail(
            f"以下の宛先へメールを配信できませんでした。\n\n<{ADA}>\n"
            "受信者のメールボックスが一杯です。",
            charset="shift_jis",
        ),
    ),
    Case(
        "russian, koi8-r, full",
        FINAL,
        mail(
            f"Ваше письмо не может быть доставлено получателю.\n\n<{ADA}>\n"
            "Почтовый ящик получателя переполнен.",
            charset="koi8-r",
        ),
    ),
    Case(
        "russian, koi8-r, no such address",
        GONE,
        mail(
            f"Письмо не было доставлено следующим получателям:\n\n  {ADA}\n\n"
            "550 Адрес не существует",
            charset="koi8-r",
            subject="Письмо не доставлено".encode("koi8-r").decode("koi8-r"),
        ),
    ),
    Case(
        "chinese, gb2312, suspended",
        FINAL,
        mail(
            f"抱歉，您的邮件被退回来了。\n\n收信人: {ADA}\n退信原因: 550 User suspended 用户被停用",
            charset="gb2312",
        ),
    ),
    Case(
        "chinese, gb2312, a full box",
        FINAL,
        mail(f"退信通知\n\n您的邮件无法送达 <{ADA}>\n原因: 收件人邮箱空间不足", charset="gb2312"),
    ),
    Case(
        "portuguese, unknown",
        GONE,
        mail(
            f"Sua mensagem não pôde ser entregue.\n\n<{ADA}>\nDestinatário desconhecido neste"
            " servidor.",
            charset="iso-8859-1",
        ),
    ),
    Case(
        "german, unknown",
        GONE,
        mail(
            "Diese E-Mail wurde automatisch erzeugt.\n\nIhre Nachricht konnte nicht zugestellt"
            f" werden:\n\n{ADA}:\nEmpfänger unbekannt",
            charset="iso-8859-15",
            subject="Unzustellbare Nachricht",
        ),
    ),
    Case(
        "french, unknown",
        GONE,
        mail(
            "Votre message n'a pas pu être remis au destinataire suivant :\n\n"
            f"<{ADA}>\nL'adresse n'existe pas.",
            charset="windows-1252",
            subject="Echec de remise",
        ),
    ),
    Case(
        "spanish, disabled",
        FINAL,
        mail(
            f"El mensaje no pudo ser entregado a:\n\n<{ADA}>\n550 5.2.1 La cuenta está desactivada"
            " (account disabled)",
        ),
    ),
    Case(
        "qmail, from afar and put off",
        PASSING,
        qmail(
            "Connected to 192.0.2.3 but greeting failed.\nRemote host said: 421 4.3.2 try later"
            "\nI'm not going to try again; this message has been in the queue too long."
        ),
    ),
    Case(
        "qmail, remote refuses a spammer",
        FINAL,
        qmail("192.0.2.3 failed after I sent the message.\nRemote host said: 554 5.7.1 Spam found"),
    ),
    Case(
        "exim, unknown after rcpt",
        GONE,
        exim(
            f"host mx.example.org [192.0.2.2]\n    SMTP error from remote mail server after RCPT"
            f" TO:<{ADA}>:\n    550 5.1.1 <{ADA}>: Recipient address rejected: User unknown"
        ),
    ),
    Case(
        "exim, over quota in the local delivery",
        FINAL,
        exim("mailbox is full: retry timeout exceeded"),
    ),
    Case(
        "exim, a reputation",
        FINAL,
        exim(
            "host mx.example.org [192.0.2.2]\n    SMTP error from remote mail server after initial"
            " connection:\n    554 Your IP 192.0.2.9 has a poor reputation"
        ),
    ),
]

KINDS = [
    Case(
        "a courier server delivered it",
        ARRIVED,
        mail(
            "This is a delivery status notification from mx.example, running the Courier mail"
            " server.\n\n                  DELIVERY SUCCESSFUL\n\nYour message to the following"
            f" recipients was delivered successfully.\n\n<{ADA}>:",
            sender='"Courier mail server at mx.example" <@>',
            subject="NOTICE: mail delivery status.",
        ),
    ),
    Case(
        "a provider's user reported it",
        COMPLAINT,
        mail(
            "A Provider user has reported the following message as spam.\n\n"
            f"----- Original message -----\n{_HEADED}To: {ADA}\n\nHello",
            sender="fbl@provider.example",
            subject="Spam report",
        ),
    ),
    Case(
        "chinese, the address amid words",
        GONE,
        mail(
            f"抱歉，您的邮件被退回来了。\n收件人邮件地址（{ADA}）不存在，邮件无法送达。",
            charset="gbk",
        ),
    ),
    Case(
        "listserv does not let us post",
        FINAL,
        mail(
            "You are not authorized to send mail to the STAFF-L list from your"
            " belong@example.org account.",
            sender="L-Soft list server <LISTSERV@lists.example>",
            subject="Rejected posting to STAFF-L@LISTS.EXAMPLE",
        ),
    ),
    Case(
        "outlook passes a bounce on, its subject kept",
        OTHER,
        mail(
            "See below.\n\nFrom: Mail Delivery Subsystem\nSent: Monday, July 6, 2026 10:00 AM\nTo:"
            f" Bo\nSubject: Undeliverable: News\n\nYour message to {ADA} couldn't be"
            " delivered.\n550 5.1.1 user unknown",
            sender=PERSON,
            subject="Undeliverable: News",
        ),
    ),
    Case(
        "sendmail waits",
        LATE,
        mail(
            "    **      THIS IS A WARNING MESSAGE ONLY      **\n\n   ----- Transcript of session"
            f" follows -----\n<{ADA}>... Deferred: Connection timed out with mx.example.org.\n"
            "Warning: message still undelivered after 4 hours\nWill keep trying until message is 5"
            " days old",
            subject="Warning: could not send message for past 4 hours",
        ),
    ),
    Case(
        "exchange delays in its own words",
        LATE,
        mail(
            f"Delivery is delayed to these recipients or groups:\n\n{ADA}\n\nSubject: News for"
            " July\n\nThis message hasn't been delivered yet. Delivery will continue to be"
            " attempted.",
            sender=EXCHANGE,
            subject="Delivery delayed:News for July",
        ),
    ),
    Case(
        "postfix warns",
        LATE,
        dsn(
            "4.4.1",
            "X-Postfix; connect to mx.example.org[192.0.2.2]:25: Connection refused",
            action="delayed",
            text="THIS IS A WARNING ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.",
        ),
    ),
    Case(
        "gmail will try again",
        LATE,
        mail(
            f"** Delivery incomplete **\n\nThere was a temporary problem delivering your message"
            f" to {ADA}. Gmail will retry for 22 more hours.\n\nThe response was:\n\n451 4.3.0"
            " Temporary problem",
            sender=_GOOGLE,
            subject="Delivery Status Notification (Delay)",
            headers=[f"X-Failed-Recipients: {ADA}"],
        ),
    ),
    Case("an unknown action", GONE, dsn("5.1.1", "smtp; 550 5.1.1 unknown", action="refused")),
    Case("an unknown action alone", FINAL, dsn("", "", action="transferred")),
    Case("relayed beyond our sight", ARRIVED, dsn("2.0.0", "smtp; 250 OK", action="relayed")),
    Case(
        "a challenge by spamarrest",
        AUTO,
        mail(
            "I'm protecting myself from receiving junk mail. Just this once, click the link below"
            " so I can receive your emails.\n\nhttps://spamarrest.example/a2?AQ\n",
            sender=PERSON,
            subject="Re: News for July (verification)",
        ),
    ),
    Case(
        "a challenge by earthlink",
        AUTO,
        mail(
            "Your message to me has been held because your address is not in my address book."
            " To have it delivered, please confirm your email by following this link:\n"
            "https://webmail.example/wam/addme?a=bo",
            sender=PERSON,
            subject="Re: News for July",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
    Case(
        "mailman holds it",
        AUTO,
        mail(
            "Your mail to 'Staff' with the subject\n\n    News for July\n\nIs being held until the"
            " list moderator can review it for approval.\n\nThe reason it is being held:\n\n   "
            " Post by non-member to a members-only list",
            sender="staff-bounces@lists.example",
            subject="Your message to Staff awaits moderator approval",
            headers=["Precedence: bulk", "List-Id: <staff.lists.example>"],
        ),
    ),
    Case(
        "mailman refuses",
        FINAL,
        mail(
            "You are not allowed to post to this mailing list, and your message has been"
            " automatically rejected. If you think that your messages are being rejected in error,"
            " contact the mailing list owner at staff-owner@lists.example.",
            sender="staff-owner@lists.example",
            subject="News for July",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
    Case(
        "outlook is away",
        AUTO,
        mail(
            "I'm out until 10 August. If it is urgent, write to the front desk. The mail server"
            " could not deliver my holiday, either.",
            sender=PERSON,
            subject="Automatic reply: News for July",
            headers=["Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: All"],
        ),
    ),
    Case(
        "an AUTO: subject with a body",
        AUTO,
        mail(
            "I am out of the office until 08/10/2026.\n\nNote: This is an automated response to"
            ' your message  "News for July" sent on 7/6/2026.',
            sender=PERSON,
            subject="AUTO: Bo Berg is out of the office (returning 08/10/2026)",
        ),
    ),
    Case(
        "a car dealer's AUTO: subject",
        OTHER,
        mail(
            "This week only: winter tires for every model. Come and see us on Saturday.",
            sender=PERSON,
            subject="AUTO: winter tires from 49 dollars",
        ),
    ),
    Case(
        "an address that a person gave up, by a responder",
        AUTO,
        mail(
            "This mailbox is no longer monitored. Please write to office@example.org instead.",
            sender=PERSON,
            subject="Automatic reply: News for July",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
    Case(
        "a person forwards a bounce by hand",
        OTHER,
        mail(
            "Hi, do you know what this means?\n\n---------- Forwarded message ---------\nFrom: Mail"
            " Delivery Subsystem <mailer-daemon@googlemail.example>\nDate: Mon, Jul 6, 2026\n"
            f"Subject: Delivery Status Notification (Failure)\nTo: <bo@example.com>\n\n{ADA}\n550"
            " 5.1.1 The email account that you tried to reach does not exist.",
            sender=PERSON,
            subject="Fwd: Delivery Status Notification (Failure)",
        ),
    ),
    Case(
        "outlook forwards a bounce in german",
        OTHER,
        mail(
            "Was soll das?\n\nVon: Microsoft Outlook <postmaster@example.org>\nGesendet: Montag, 6."
            f" Juli 2026\nAn: Bo Berg\nBetreff: Unzustellbar: Neues\n\n{ADA}\n550 5.1.10"
            " RecipientNotFound",
            sender=PERSON,
            subject="WG: Unzustellbar: Neues",
        ),
    ),
    Case(
        "sendgrid's event, by email",
        OTHER,
        mail(
            json.dumps(
                [{"email": ADA, "event": "bounce", "status": "5.1.1", "reason": "550 unknown user"}]
            ),
            sender="hooks@service.example",
            subject="Event webhook",
            kind="application/json",
        ),
    ),
    Case(
        "amazon's notification as json",
        OTHER,
        mail(
            json.dumps(
                {
                    "notificationType": "Bounce",
                    "bounce": {
                        "bounceType": "Permanent",
                        "bouncedRecipients": [{"emailAddress": ADA}],
                    },
                }
            ),
            sender="no-reply@sns.example",
            subject="AWS Notification Message",
        ),
    ),
    Case(
        "a complaint without fields",
        COMPLAINT,
        mail(
            "This is an email abuse report for an email message received from IP 192.0.2.9 on Mon,"
            " 6 Jul 2026 10:00:00 -0600.\n\n" + _HEADED + f"To: {ADA}\n\nHello",
            sender="complaints@feedback.example",
            subject="Email Feedback Report for IP 192.0.2.9",
        ),
    ),
    Case(
        "a user calls it junk, without fields",
        COMPLAINT,
        mail(
            "The following message was marked as spam by one of our users.\n\n"
            f"{_HEADED}To: {ADA}\n\nHello",
            sender="abuse@isp.example",
            subject="Complaint about a message from 192.0.2.9",
        ),
    ),
    Case(
        "a person asks what bounced",
        OTHER,
        mail(
            "Did my message of Monday reach you? I got something about a full mailbox, 552 5.2.2.",
            sender=PERSON,
            subject="Did it arrive?",
        ),
    ),
    Case(
        "a receipt",
        AUTO,
        (
            f"From: {PERSON}\nTo: {RETURN_PATH}\nSubject: Read: News for July\nMIME-Version: 1.0\n"
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n"
            "--b\nContent-Type: text/plain\n\nYour message was read.\n--b\nContent-Type:"
            f" message/disposition-notification\n\nFinal-Recipient: rfc822; {ADA}\nDisposition:"
            " automatic-action/MDN-sent-automatically; displayed\n--b--\n"
        ).encode(),
    ),
    Case(
        "mail-followup in an order",
        OTHER,
        mail(
            "Your parcel could not be delivered on July 6, as nobody was at the address. We will"
            " try again tomorrow.",
            sender="Parcels <noreply@parcels.example>",
            subject="Delivery attempt failed",
        ),
    ),
]
FRESH: Final = [*WORDED, *KINDS, *diagnostics("fresh")]
