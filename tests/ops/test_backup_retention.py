"""Which copies a folder keeps: of days, of weeks, and of each step of the schema."""

from datetime import UTC, datetime, timedelta

from belong_mail.ops import backup_retention

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_folder_keeps_the_last_copies_of_days_and_weeks():
    moments = {NOON - timedelta(hours=12 * n) for n in range(120)}
    kept = backup_retention.kept(moments, 7, 4)
    assert {NOON - timedelta(days=n) for n in range(7)} <= kept
    assert len(kept) == 10
    assert min(kept) > NOON - timedelta(days=30)
    assert backup_retention.kept(moments, 1, 0) == {NOON}
    both_years = {NOON, NOON - timedelta(weeks=52)}
    assert backup_retention.kept(both_years, 0, 4) == both_years, "The week's number is the same."


def test_the_copy_before_an_upgrade_outlives_the_nightly_one_of_its_day(tmp_path):
    before, last = (NOON - timedelta(hours=hours) for hours in (5, 29))
    names = [
        backup_retention.file_name(before, "1.0"),
        backup_retention.file_name(last, "1.0"),
        backup_retention.file_name(NOON, "1.1"),
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"SQLite format 3\0")
    assert [gone.name for gone in backup_retention.delete_old(tmp_path, 1, 0)] == [names[1]]
    later = backup_retention.file_name(NOON + timedelta(days=31), "1.1")
    (tmp_path / later).write_bytes(b"SQLite format 3\0")
    backup_retention.delete_old(tmp_path, 1, 0)
    assert [left.name for left in tmp_path.iterdir()] == [later]


def test_when_backups_stop_the_last_ones_stay():
    old = {NOON - timedelta(days=400 + n) for n in range(3)}
    assert backup_retention.kept(old, 3, 0) == old
