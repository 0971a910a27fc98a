"""The development mailbox: keeps, shows, forgets, and finds nothing it should not."""

import stat

import pytest

from belong_mail.mail.message.headers import format_mailbox
from belong_mail.mail.message.mime import compose
from belong_mail.mail.smtp.transport import MAX_MESSAGES, FolderTransport
from belong_mail.pages import dev_mailbox
from tests.letters import letter

MESSAGE = compose(
    [
        ("From", format_mailbox("DPS Belong", "belong@example.org")),
        ("To", "ada@dpsk12.org"),
        ("Subject", "Grüße 春"),
        ("Date", "Tue, 24 Nov 2026 09:30:00 +0000"),
    ],
    "Hello Ada 春\n",
    "<p>Hello Ada 春</p>\n",
    boundary="abc",
).fill({})
COPY = letter(message=MESSAGE)


def nothing() -> None:
    """Nothing is to be noted before the dot."""


def test_a_sent_message_is_shown_as_its_reader_sees_it(tmp_path):
    folder = tmp_path / "mailbox"
    noted: list[str] = []
    FolderTransport(folder).keep(COPY, lambda: noted.append("dot"))
    assert noted == ["dot"]
    [kept] = dev_mailbox.newest_mails(folder, 10)
    assert kept.recipient == "ada@dpsk12.org"
    assert kept.subject == "Grüße 春"
    assert kept.sender == "DPS Belong <belong@example.org>"
    assert kept.text == "Hello Ada 春\n"
    assert kept.html == "<p>Hello Ada 春</p>\n"
    assert kept.source == MESSAGE.decode()
    assert dev_mailbox.find_mail(folder, kept.name) == kept


def test_files_are_private_and_named_after_nobody(tmp_path):
    folder = tmp_path / "deep" / "mailbox"
    FolderTransport(folder).keep(letter(recipient="lovelace@dpsk12.org"), nothing)
    [file] = folder.iterdir()
    assert "lovelace" not in file.name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_newest_stand_first_and_the_oldest_go(tmp_path):
    kept_in = FolderTransport(tmp_path)
    for number in range(MAX_MESSAGES + 3):
        kept_in.keep(letter("", f"ada{number}@dpsk12.org"), nothing)
    assert len(list(tmp_path.iterdir())) == MAX_MESSAGES
    newest = [kept.recipient for kept in dev_mailbox.newest_mails(tmp_path, 2)]
    assert newest == [f"ada{MAX_MESSAGES + 2}@dpsk12.org", f"ada{MAX_MESSAGES + 1}@dpsk12.org"]
    assert dev_mailbox.newest_mails(tmp_path, MAX_MESSAGES + 100)[-1].recipient == "ada3@dpsk12.org"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret", "/etc/passwd", "a" * 37, "0" * 20 + "-" + "g" * 16, "x\0y"]
)
def test_only_its_own_names_are_found(tmp_path, name):
    (tmp_path / "secret.mail").write_text("secret")
    assert dev_mailbox.find_mail(tmp_path / "mailbox", name) is None
    assert dev_mailbox.find_mail(tmp_path / "mailbox", "0" * 20 + "-" + "0" * 16) is None
    assert dev_mailbox.newest_mails(tmp_path / "mailbox", 5) == []


def test_a_message_that_is_not_noted_is_not_kept(tmp_path):
    def fail() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        FolderTransport(tmp_path).keep(COPY, fail)
    assert list(tmp_path.iterdir()) == []
