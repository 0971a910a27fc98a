"""A finished message in an envelope, of which no gate is asked: for tests of what takes copies."""

from belong_mail.mail.message.mime import Copy, GatedMessage
from belong_mail.mail.message.template import MessageTemplate

MESSAGE = b"Subject: Spring\r\n\r\nHello\r\n"


class Letter(GatedMessage):
    def require_fit(self) -> None:
        pass


def letter(
    return_path: str = "b+a1b2@example.org",
    recipient: str = "ada@dpsk12.org",
    message: bytes = MESSAGE,
) -> Copy:
    return Copy(Letter(MessageTemplate.of([message])), return_path, recipient, {})
