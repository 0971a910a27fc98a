"""The journal's file: what is open is known, also after it was full and began anew."""

from belong_mail.delivery.journal import (
    ENTRY_OCTETS,
    FULL_OCTETS,
    MAX_OCTETS,
    Journal,
    JournalEntry,
    read_journal,
)


def test_a_journal_that_was_full_knows_what_is_open_and_never_grows(tmp_path):
    file = tmp_path / "worker.journal"
    journal = Journal(file)
    journal.write(1, JournalEntry.DOT)
    assert [journal.begin(), journal.begin()] == [1, 2]
    journal.end_well()
    assert journal.begin() == 3
    for number in range(2, 2 + FULL_OCTETS // ENTRY_OCTETS):
        journal.write(number, JournalEntry.ACCEPTED)
        journal.forget([number - 1] if number > 2 else [])
    last = 1 + FULL_OCTETS // ENTRY_OCTETS
    journal.write(last, JournalEntry.TAKEN)
    assert file.stat().st_size == MAX_OCTETS
    assert read_journal(file).marks == {
        1: JournalEntry.DOT,
        last - 1: JournalEntry.ACCEPTED,
        last: JournalEntry.TAKEN,
    }
    journal.move(7.5)
    assert read_journal(file)[1:] == (3, 2, 7.5)
    journal.end()
    assert not file.exists()
