"""A fourth set: what a blind measure misread, and what its mends must not do."""

from typing import Final

from tests.bounce_parsing.builders import (
    ADA,
    AUTO,
    FINAL,
    GONE,
    OTHER,
    PERSON,
    Case,
    diagnostics,
    mail,
)

LEAVES: Final = ("unsubscribe", "-", "keep")
_EMPTY_PATH: Final = ["Return-Path: <>"]
_SOFTBANKS: Final = (
    "This message was undeliverable due to the following reason:\n\nThe following destination"
    " addresses were unknown (please check\nthe addresses and re-mail the message):\n\n"
    f"SMTP <{ADA}>\n\nPlease reply to Postmaster@example.jp\nif you feel this message to be in"
    " error."
)
# A name, a subject, a text, and what that means.
PERSONAL = [
    ("away in dutch", "Afwezig: News for July", "Ik ben afwezig tot 20 maart.", AUTO),
    ("away in swedish", "Frånvaro: News for July", "Jag är på semester till den 20 mars.", AUTO),
    ("away in danish", "Ikke til stede: News for July", "Jeg er på ferie.", AUTO),
    ("away in polish", "Nieobecność: News for July", "Jestem na urlopie do 20 marca.", AUTO),
    ("away in turkish", "Otomatik Yanıt: News for July", "10 Haziran'a kadar yokum.", AUTO),
    ("away in japanese", "自動応答: News for July", "6月10日以降に返信いたします。", AUTO),
    ("away in arabic", "رد تلقائي: News for July", "سأعود يوم الاثنين.", AUTO),
    (
        "a machine that says so",
        "Thank you for your message",
        "This is an automated message. Office hours are 8 to 4.",
        AUTO,
    ),
    (
        "an approval is asked for, without a mark",
        "Re: News for July (spamBlocker)",
        "I apologize for this automatic reply to your email. To stop spam, I only allow mail.",
        AUTO,
    ),
    (
        "a person who writes of machines",
        "Re: News for July",
        "Is this an automated message? This is a question from a person.",
        OTHER,
    ),
    ("i'm out of office", "I'm out of office Re: News for July", "Back Monday.", AUTO),
    ("away, but a person", "Afwezig op maandag", "Kan ik dinsdag komen?", OTHER),
    ("office hours", "Re: Out of office hours visits", "Yes please, evenings.", OTHER),
    ("to leave, politely", "Re: News for July", "Please take me off this list.", LEAVES),
    (
        "to leave, with thanks",
        "Re: News for July",
        "Please remove me from your mailing list. Thank you.",
        LEAVES,
    ),
    ("to leave, in chinese", "退订", "", LEAVES),
    ("not to leave", "Re: News for July", "Please take me off this list of cooks, not all.", OTHER),
]
WORDED = [
    Case(
        "a text message gateway that is no daemon by its name",
        FINAL,
        mail(
            f"Message could not be delivered to mobile.\n\nTo: {ADA}",
            sender="5555550100@text.example",
            subject="Undeliverable message",
        ),
    ),
    Case(
        "a person writes of what came back from a phone",
        OTHER,
        mail(
            "It says that my message could not be delivered to mobile. Do you know why?",
            sender=PERSON,
            subject="Re: News for July",
        ),
    ),
    Case(
        "unknown, with advice in brackets",
        GONE,
        mail(
            _SOFTBANKS,
            sender="MAILER-DAEMON@example.jp",
            subject="Mail System Error - Returned Mail",
        ),
    ),
    Case(
        "only advice says unknown",
        FINAL,
        mail(
            "Your mail could not be delivered (please check whether the user is unknown).\n\n"
            f"{ADA}",
            sender="MAILER-DAEMON@example.jp",
            subject="Returned Mail",
        ),
    ),
    Case(
        "unavailable, and a page that explains it",
        GONE,
        mail(
            f"{ADA}:\nSMTP error from remote server for RCPT TO command, host: mx (192.0.2.8)"
            " reason: 550 Requested action not taken: mailbox unavailable\nFor explanation visit"
            " https://mail.example/email-returned?c=hu",
            sender="Mailer Daemon <mailer-daemon@example.net>",
            subject="Mail delivery failed: returning message to sender",
        ),
    ),
    Case(
        "a payload with a null return path and a footer",
        OTHER,
        mail(
            '{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":'
            f'"{ADA}","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}}]}}}}\n\n'
            "--\nIf you wish to stop receiving notifications from this topic, visit the link below",
            sender="AWS Notifications <no-reply@sns.example>",
            subject="Amazon SES Email Event Notification",
            headers=_EMPTY_PATH,
        ),
    ),
    Case(
        "a guest list has us wait",
        AUTO,
        mail(
            'Your message about "News for July" was waitlisted. Please add yourself to my Guest'
            " List so your messages will be delivered to my Inbox.",
            sender="Boxbe <notifications@guests.example>",
            subject=f"{ADA}: Please verify your message (Action Required)",
            headers=_EMPTY_PATH,
        ),
    ),
    Case(
        "a filter has us wait, in portuguese",
        AUTO,
        mail(
            "A mensagem foi retida. Confirm that you are not a robot: click the link below.",
            sender="AntiSpam <antispam@example.com.br>",
            subject="Confirmação de envio",
            headers=_EMPTY_PATH,
        ),
    ),
    Case(
        "a french list refuses",
        FINAL,
        mail(
            "Votre message pour la liste jardin n'a pas été diffusé : vous n'êtes pas autorisé à"
            " écrire dans cette liste.",
            sender="SYMPA <sympa@example.fr>",
            subject="Message distribution: error",
            headers=["Auto-Submitted: auto-replied"],
        ),
    ),
]
BLIND: Final = [
    *WORDED,
    *diagnostics("blind"),
    *(
        Case(name, meaning, mail(text, sender=PERSON, subject=subject))
        for name, subject, text, meaning in PERSONAL
    ),
]
