"""The journal's file: what is open is known, also after it was full and began anew."""

from pathlib import Path

from belong_mail.sending.journal import LARGEST, MARK, Journal, Mark, read


def test_a_journal_that_was_full_knows_what_is_open_and_never_grows(tmp_path: Path) -> None:
    file = tmp_path / "worker.journal"
    journal = Journal(file)
    journal.write(1, Mark.DOT)
    for number in range(2, 2 + LARGEST // MARK):
        journal.write(number, Mark.ACCEPTED)
        journal.forget([number - 1] if number > 2 else [])
    last = 1 + LARGEST // MARK
    journal.write(last, Mark.TAKEN)
    assert file.stat().st_size == LARGEST
    assert read(file) == {1: Mark.DOT, last - 1: Mark.ACCEPTED, last: Mark.TAKEN}
    journal.end()
    assert not file.exists()
