"""The schema goes up, down to nothing and up again, on both databases, and is what models say."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import Script, ScriptDirectory
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, GroupLead
from belong_mail.app import create_app
from belong_mail.core.db import make_engine, now
from belong_mail.core.i18n import LocalizedText
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery, EndedIssue, IssueCount
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group, GroupInterest, Question
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import schema
from config import Config
from tests.conftest import KEYS
from tests.factories import group_named
from tests.markers import on_both
from tests.postgres import postgresql
from tests.processes import run

pytestmark = on_both("migrations")

MIGRATIONS = Path(schema.__file__).parents[1] / "migrations"


@pytest.fixture(scope="module")
def empty_postgresql() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without a table."""
    if request.param == "sqlite":
        (tmp_path / "new.db").touch()
        url = f"sqlite:///{tmp_path}/new.db"
    else:
        url = request.getfixturevalue("empty_postgresql")
    engine = make_engine(url)
    yield engine
    schema.downgrade(engine, "base")
    engine.dispose()


def settings_for(engine: Engine) -> dict[str, str]:
    url = engine.url.render_as_string(hide_password=False)
    settings = {f"BELONG_{kind.upper()}_KEYS": key for kind, key in KEYS.items()}
    return {**settings, "BELONG_DATABASE_URL": url}


def command(engine: Engine, *arguments: str) -> Result:
    """Run a command of ours on a database."""
    app = create_app(Config.read(settings_for(engine)))
    runner: FlaskCliRunner = app.test_cli_runner()
    result = runner.invoke(args=list(arguments))
    parts: Services = app.extensions["belong"]
    parts.writing.kw["bind"].dispose()
    return result


def test_the_schema_goes_up_down_and_up_again(empty: Engine) -> None:
    for _ in range(2):
        schema.upgrade(empty)
        assert schema.differences(empty) == []
        schema.downgrade(empty, "base")
        assert set(inspect(empty).get_table_names()) <= {"alembic_version"}


def test_each_step_down_can_be_taken_up_again(empty: Engine) -> None:
    """Step by step to nothing, each step undone once on the way."""
    schema.upgrade(empty)
    steps = [step.revision for step in _steps()]
    for revision in steps:
        schema.downgrade(empty, f"{revision}-1" if revision != steps[-1] else "base")
        schema.upgrade(empty, revision)
        assert not schema.differences(empty) or revision != steps[0]
        schema.downgrade(empty, f"{revision}-1" if revision != steps[-1] else "base")


def test_upgrade_seeds_when_it_is_asked_and_once(empty: Engine) -> None:
    """A new database is nobody's: another district's office adds its own groups."""
    up_to_date = "The database is up to date.\n"
    there = f"The database has groups already, so none were added.\n{up_to_date}"
    dps = ("--seed", "dps")
    for asked, said, number in (((), up_to_date, 0), (dps, up_to_date, 10), (dps, there, 10)):
        result = command(empty, "db", "upgrade", *asked)
        assert (result.exit_code, result.output) == (0, said)
        with empty.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM groups")) == number
    assert command(empty, "db", "upgrade", "--seed", "lakeside").exit_code == 2


def test_check_says_whether_the_database_is_up_to_date(empty: Engine) -> None:
    result = command(empty, "db", "check")
    assert result.exit_code == 1
    assert "Run `db upgrade`" in result.output
    schema.upgrade(empty)
    result = command(empty, "db", "check")
    assert (result.exit_code, result.output) == (0, "The database is as it should be.\n")
    with empty.begin() as connection:
        connection.execute(text("ALTER TABLE newsletters ADD COLUMN stray VARCHAR"))
    assert command(empty, "db", "check").exit_code == 1


def test_the_worker_refuses_a_database_that_is_not_up_to_date(empty: Engine) -> None:
    ended = run(settings_for(empty), "worker", "--drain")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: The database cannot be used")
    assert "Traceback" not in ended.stderr


def test_who_led_before_there_were_invitations_has_accepted(empty: Engine) -> None:
    """Step 0017; what was only invited is gone when it is undone."""
    schema.upgrade(empty)
    with Session(empty) as session, session.begin():
        groups.seed(session)
        session.add(Account(address_index=b"index", wrapped_address=b"wrapped"))
        session.flush()
        for group_id, accepted_at in ((1, now()), (2, None)):
            row = GroupLead(account_id=1, group_id=group_id, accepted_at=accepted_at)
            session.add(row)
    schema.downgrade(empty, "0017-1")
    schema.upgrade(empty)
    with Session(empty) as session:
        [kept] = session.scalars(select(GroupLead))
        assert (kept.group_id, kept.accepted_at) == (1, kept.since)


def test_members_and_groups_of_before_0016_are_kept(empty: Engine) -> None:
    before = next(step.down_revision for step in _steps() if step.revision == "0016")
    schema.upgrade(empty, str(before))
    at = "2026-01-01 00:00:00"
    with empty.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO groups (id, public_id, slug, name, summary, note, resources, welcome,"
                " position, created_at) VALUES (1, 'g', 's', 'N', '{}', '{}', '[]', '{}', 1, :at)"
            ),
            {"at": at},
        )
        connection.execute(
            text(
                "INSERT INTO subscriptions (id, public_id, group_id, address_index,"
                " wrapped_address, language, requested_at, is_suppressed, asked_until)"
                " VALUES (1, 'm', 1, :index, :index, 'en', :at, :no, 0)"
            ),
            {"at": at, "index": b"x", "no": False},
        )
    schema.upgrade(empty)
    with empty.begin() as connection:
        shown = "SELECT public_id, address_index, counted_index FROM subscriptions"
        [member] = connection.execute(text(shown))
        assert (member[0], bytes(member[1]), member[2]) == ("m", b"x", None)
        assert connection.scalar(text("SELECT members_shown FROM groups")) is None
        connection.execute(text("DELETE FROM subscriptions"))
        connection.execute(text("DELETE FROM groups"))


ISSUES = [
    (1, "Tea", "Come.\n\n{first_name}", "Té", "Vengan: ¡sí! 🫖"),
    (2, "Walk", "We “walk”.", "", ""),
    (3, "", "", "", ""),
    (4, "", "", "Solo", ""),
]


def test_issues_of_before_0021_keep_their_words_in_both_directions(empty: Engine) -> None:
    schema.upgrade(empty, "0020")
    at = {"at": "2026-01-01 00:00:00+00:00"}
    named = ("id", "subject", "text", "subject_es", "text_es")
    with empty.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO groups (id, public_id, slug, name, summary, note, resources, welcome,"
                " position, created_at) VALUES (1, 'g', 's', 'N', '{}', '{}', '[]', '{}', 1, :at)"
            ),
            at,
        )
        for row in ISSUES:
            connection.execute(
                text(
                    "INSERT INTO newsletters (id, public_id, group_id, subject, text, subject_es,"
                    " text_es, created_at, changed_at, is_refused, is_late) VALUES (:id, :id, 1,"
                    " :subject, :text, :subject_es, :text_es, :at, :at, :no, :no)"
                ),
                {**dict(zip(named, row, strict=True)), **at, "no": False},
            )
    for _ in range(2):
        schema.upgrade(empty)
        with Session(empty) as session:
            issues = session.scalars(select(Newsletter).order_by(Newsletter.id)).all()
            assert [(issue.subject, issue.text) for issue in issues] == [
                (
                    {code: words for code, words in (("en", row[1]), ("es", row[3])) if words},
                    {code: words for code, words in (("en", row[2]), ("es", row[4])) if words},
                )
                for row in ISSUES
            ]
        schema.downgrade(empty, "0020")
        with empty.connect() as connection:
            kept = connection.execute(text(f"SELECT {', '.join(named)} FROM newsletters"))  # noqa: S608
            assert sorted(tuple(row) for row in kept) == ISSUES
    with empty.begin() as connection:
        connection.execute(text("DELETE FROM newsletters"))
        connection.execute(text("DELETE FROM groups"))


def test_groups_that_no_lead_has_edited_get_the_words_of_0022(empty: Engine) -> None:
    """What leads wrote stays, also when the step is undone and taken again."""
    schema.upgrade(empty)
    own = {"en": "Asian educators and staff finding each other, and helping students speak up."}
    with Session(empty) as session, session.begin():
        groups.seed(session)
        new = {group.slug: group_words(group) for group in groups.listed(session)}
        group_named(session, "asian").summary = own
        group_named(session, "lgbtq").summary = {"en": "Our own line."}
        group_named(session, "lgbtq").before = {"summary": {}, "mission": {}, "activities": {}}
        group_named(session, "autoimmune").summary = {"en": "Our own line."}
    for _ in range(2):
        schema.downgrade(empty, "0021")
        schema.upgrade(empty)
    with Session(empty) as session:
        now = {group.slug: group_words(group) for group in groups.listed(session)}
        assert group_named(session, "lgbtq").before == {"summary": {}}
    for slug in ("lgbtq", "autoimmune"):
        assert now.pop(slug) == [{"en": "Our own line."}, {}, {}, {}]
        del new[slug]
    assert now == new
    with empty.begin() as connection:
        connection.execute(text("DELETE FROM questions"))
        connection.execute(text("DELETE FROM groups"))


def test_whom_a_group_welcomes_is_written_whatever_its_leads_wrote(empty: Engine) -> None:
    schema.upgrade(empty)
    with Session(empty) as session, session.begin():
        groups.seed(session)
        group_named(session, "deconstructing-privilege").summary = {"en": "Our own line."}
    schema.downgrade(empty, "0021")
    schema.upgrade(empty)
    with Session(empty) as session:
        [line, mission, activities, audience] = group_words(
            group_named(session, "deconstructing-privilege")
        )
        assert (line, mission, activities) == ({"en": "Our own line."}, {}, {})
        assert audience["en"] == "All staff are welcome"
    with empty.begin() as connection:
        connection.execute(text("DELETE FROM questions"))
        connection.execute(text("DELETE FROM groups"))


def group_words(group: Group) -> list[LocalizedText]:
    return [group.summary, group.mission, group.activities, group.audience]


def ask_in_0021(empty: Engine, options: list[LocalizedText]) -> None:
    """Enter a group with two questions, of which the first asks who would help, and an issue."""
    at = {"at": "2026-01-01 00:00:00+00:00"}
    asked = (
        (1, {"en": "Would you like to help with something?", "es": "¿Ayudas?"}, options),
        (2, {"en": "Which snack?"}, options[:2]),
    )
    with empty.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO groups (id, public_id, slug, name, summary, note, resources, welcome,"
                " position, created_at) VALUES (1, 'g', 's', 'N', '{}', '{}', '[]', '{}', 1, :at)"
            ),
            at,
        )
        for number, label, listed in asked:
            values = {"id": number, "label": json.dumps(label), "options": json.dumps(listed)}
            connection.execute(
                text(
                    "INSERT INTO questions (id, group_id, position, kind, label, options,"
                    " is_required, approved_at) VALUES (:id, 1, :id, 'choices', :label, :options,"
                    " :no, :at)"
                ),
                {**values, **at, "no": False},
            )
        connection.execute(
            text(
                "INSERT INTO newsletters (id, public_id, group_id, subject, text, created_at,"
                " changed_at, is_refused, is_late)"
                " VALUES (1, 'n', 1, '{}', '{}', :at, :at, :no, :no)"
            ),
            {**at, "no": False},
        )


def test_the_question_who_would_help_becomes_a_groups_interests(empty: Engine) -> None:
    """Step 0023; other questions stay, and so do issues, which go to the whole group."""
    schema.upgrade(empty, "0021")
    options: list[LocalizedText] = [
        {"en": f"Task {number}", "es": f"Tarea {number}"} for number in range(8)
    ]
    ask_in_0021(empty, options)
    schema.upgrade(empty)
    with Session(empty) as session, session.begin():
        interests = session.scalars(select(GroupInterest).order_by(GroupInterest.id)).all()
        assert [each.label for each in interests] == options[:6]
        assert len({each.public_id for each in interests}) == 6
        assert [each.id for each in session.scalars(select(Question))] == [2]
        issue = session.scalars(select(Newsletter)).one()
        assert issue.interest is None
        issue.interest, issue.due_at = interests[0], now()
    schema.downgrade(empty, "0021")
    with empty.begin() as connection:
        assert connection.scalar(text("SELECT due_at FROM newsletters")) is None
        for table in ("newsletters", "questions", "groups"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - ours


def test_a_step_that_is_not_known_is_said_in_a_sentence(empty: Engine) -> None:
    """A newer version was here, or one whose steps were numbered otherwise."""
    schema.upgrade(empty)
    _set_step(empty, "0099")
    try:
        for arguments in (("db", "upgrade"), ("worker", "--drain")):
            ended = run(settings_for(empty), *arguments)
            assert ended.returncode == 1
            assert "Traceback" not in ended.stderr
        result = command(empty, "db", "upgrade")
        assert "at a step that this version does not know" in result.output
    finally:
        _set_step(empty, _steps()[0].revision)


def test_a_database_that_is_not_what_its_step_says_stays_as_it_is(empty: Engine) -> None:
    """Once a step stood as 0012 for some minutes, and is 0013 now."""
    schema.upgrade(empty, "0012")
    with empty.begin() as connection:
        connection.execute(text("ALTER TABLE newsletters ADD COLUMN is_refused BOOLEAN"))
    ended = run(settings_for(empty), "db", "upgrade")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: The database is not what its step says")
    with empty.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0012"
        connection.execute(text("ALTER TABLE newsletters DROP COLUMN is_refused"))


def test_three_who_upgrade_at_once_end_well(empty: Engine) -> None:
    settings = settings_for(empty)
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(lambda _: run(settings, "db", "upgrade", "--seed", "dps"), range(3)))
    assert [(end.returncode, end.stdout.splitlines()[-1]) for end in ends] == [
        (0, "The database is up to date.")
    ] * 3, [end.stderr for end in ends]
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM groups")) == 10


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
def test_who_upgrades_waits_while_another_does(empty: Engine) -> None:
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor() as pool:
        with empty.begin() as connection:
            schema.lock(connection)
            second = pool.submit(run, settings_for(empty), "db", "upgrade")
            while not connection.scalar(waits):
                assert not second.done(), "it waited for nobody"
                time.sleep(0.05)
            assert not inspect(connection).has_table("groups")
        assert second.result().returncode == 0


def _set_step(engine: Engine, step: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :step"), {"step": step})


def test_migrations_are_numbered_sentences_in_one_line_that_import_nothing_of_ours() -> None:
    steps = _steps()
    assert [step.revision for step in reversed(steps)] == [
        f"{number:04}" for number in range(1, len(steps) + 1)
    ]
    for step in steps:
        file = Path(step.path)
        assert file.stem.startswith(f"{step.revision}_")
        assert step.doc.strip()
        assert "belong_mail" not in file.read_text()


def _steps() -> list[Script]:
    return list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def test_leases_and_hosts_of_before_survive_the_step_that_counts(empty: Engine) -> None:
    """A worker of the version before may have died: what it held is taken over all the same."""
    [before] = [step.down_revision for step in _steps() if step.revision == "0018"]
    schema.upgrade(empty, str(before))
    at = {"at": "2026-03-02 09:00:00+00:00"}
    with empty.begin() as connection:
        lease = "INSERT INTO leases (owner, until, held) VALUES ('old', :at, '1,2')"
        host = "INSERT INTO hosts (folder, epoch, seen_at) VALUES ('folder', 7, :at)"
        for statement in (lease, host):
            connection.execute(text(statement), at)
    schema.upgrade(empty)
    with empty.connect() as connection:
        leases = connection.execute(text("SELECT owner, held, turn FROM leases")).all()
        hosts = connection.execute(text("SELECT folder, epoch, timeline FROM hosts")).all()
    assert [tuple(row) for row in leases] == [("old", "1,2", 0)]
    assert [tuple(row) for row in hosts] == [("folder", 7, "")]


def _counts(engine: Engine) -> dict[tuple[int, str], tuple[int, int]]:
    """Add up what is counted of each issue and state: how many, and how many of them resent."""
    counted = (
        "SELECT newsletter_id, state, sum(number), sum(resent) FROM issue_counts GROUP BY 1, 2"
    )
    with engine.connect() as connection:
        found = connection.exec_driver_sql(counted).all()
    return {(issue, state): (int(number), int(again)) for issue, state, number, again in found}


def _two_issues(engine: Engine) -> None:
    """Enter an issue with five copies, two of whose rows are gone, and one with two."""
    copies = [(1, "accepted", 1), (1, "accepted", 0), (1, "bounced", 0)]
    copies += [(2, "queued", 0), (2, "accepted", 0)]
    with Session(engine) as session, session.begin():
        groups.seed(session)
        village = group_named(session, "the-village")
        session.add_all(Newsletter(id=number, group=village) for number in (1, 2))
        session.flush()
        gone = {"state": "accepted", "backend": -1, "number": 2, "resent": 1}
        session.add(IssueCount(newsletter_id=1, **gone))
        for issue, state, resent in copies:
            row = {"newsletter_id": issue, "state": state, "resent": resent, "due_at": None}
            session.add(Delivery(kind="newsletter", finished_at=now(), **row))


def test_copies_are_counted_from_0046_on_and_rows_that_are_gone_before(empty: Engine) -> None:
    schema.upgrade(empty)
    _two_issues(empty)
    everything = {
        (1, "accepted"): (4, 2), (1, "bounced"): (1, 0), (2, "queued"): (1, 0),
        (2, "accepted"): (1, 0),
    }  # fmt: skip
    assert _counts(empty) == everything
    schema.downgrade(empty, "0045")
    assert _counts(empty) == {(1, "accepted"): (2, 1)}
    with empty.begin() as connection:
        connection.execute(text("UPDATE issue_counts SET number = 4, resent = 2"))
        bounced = "INSERT INTO issue_counts VALUES (1, 'bounced', 1, 0)"
        connection.execute(text(bounced))
        settled = "INSERT INTO settled_issues (newsletter_id, due_at, settled_at) VALUES"
        at = "'2026-03-02 09:00:00'"
        connection.execute(text(f"{settled} (1, {at}, {at}), (2, {at}, NULL)"))
    schema.upgrade(empty)
    assert _counts(empty) == everything
    with Session(empty) as session:
        assert session.scalars(select(EndedIssue.newsletter_id)).all() == [1]
    schema.downgrade(empty, "0044")
    assert _counts(empty) == {(1, "accepted"): (2, 1)}


def test_what_a_version_that_counts_nothing_changes_is_counted(empty: Engine) -> None:
    """The web of before runs for a moment on the schema of after."""
    schema.upgrade(empty)
    _two_issues(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE deliveries SET state = 'withdrawn' WHERE state = 'queued'"))
    counts = _counts(empty)
    assert (counts[2, "withdrawn"], counts[2, "queued"]) == ((1, 0), (0, 0))
