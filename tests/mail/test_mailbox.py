"""The development mailbox: keeps, shows, forgets, and finds nothing it should not."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from belong_mail.mail.mailbox import KEEP, Mailbox
from belong_mail.mail.message import Envelope, compose, mailbox
from belong_mail.mailbox import service as mails

MESSAGE = compose(
    [
        ("From", mailbox("DPS Belong", "belong@example.org")),
        ("To", "ada@dpsk12.org"),
        ("Subject", "Grüße 春"),
        ("Date", "Tue, 24 Nov 2026 09:30:00 +0000"),
    ],
    "Hello Ada 春\n",
    "<p>Hello Ada 春</p>\n",
    boundary="abc",
).fill({})
ENVELOPE = Envelope("b+1@example.org", "ada@dpsk12.org", MESSAGE)


def nothing() -> None:
    """Nothing is to be noted before the dot."""


def test_what_was_sent_is_shown_as_its_reader_sees_it(tmp_path: Path) -> None:
    folder = tmp_path / "mailbox"
    noted: list[str] = []
    Mailbox(folder).keep(ENVELOPE, lambda: noted.append("dot"))
    assert noted == ["dot"]
    [kept] = mails.newest(folder, 10)
    assert kept.recipient == "ada@dpsk12.org"
    assert kept.subject == "Grüße 春"
    assert kept.sender == "DPS Belong <belong@example.org>"
    assert kept.text == "Hello Ada 春\n"
    assert kept.html == "<p>Hello Ada 春</p>\n"
    assert kept.source == MESSAGE.decode()
    assert mails.find(folder, kept.name) == kept


def test_files_are_private_and_named_after_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mailbox"
    Mailbox(folder).keep(replace(ENVELOPE, recipient="lovelace@dpsk12.org"), nothing)
    [file] = folder.iterdir()
    assert "lovelace" not in file.name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_newest_stand_first_and_the_oldest_go(tmp_path: Path) -> None:
    kept_in = Mailbox(tmp_path)
    for number in range(KEEP + 3):
        kept_in.keep(Envelope("", f"ada{number}@dpsk12.org", MESSAGE), nothing)
    assert len(list(tmp_path.iterdir())) == KEEP
    newest = [kept.recipient for kept in mails.newest(tmp_path, 2)]
    assert newest == [f"ada{KEEP + 2}@dpsk12.org", f"ada{KEEP + 1}@dpsk12.org"]
    assert mails.newest(tmp_path, KEEP + 100)[-1].recipient == "ada3@dpsk12.org"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret", "/etc/passwd", "a" * 37, "0" * 20 + "-" + "g" * 16, "x\0y"]
)
def test_only_its_own_names_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.mail").write_text("secret")
    assert mails.find(tmp_path / "mailbox", name) is None
    assert mails.find(tmp_path / "mailbox", "0" * 20 + "-" + "0" * 16) is None
    assert mails.newest(tmp_path / "mailbox", 5) == []


def test_a_message_that_is_not_noted_is_not_kept(tmp_path: Path) -> None:
    def fail() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Mailbox(tmp_path).keep(ENVELOPE, fail)
    assert list(tmp_path.iterdir()) == []
