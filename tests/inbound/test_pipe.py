"""The operator's command: a pipe that keeps what it is given sealed, and explains files."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from io import BytesIO

import pytest
from sqlalchemy import make_url, select

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.inbound import pipe
from belong_mail.mail.bounces import MAX_OCTETS
from tests.database import query
from tests.db_dump import dump_of
from tests.inbound.mail import UNKNOWN, apple, bounce
from tests.inbound.scenario import ADA
from tests.markers import on_both, on_postgresql, on_sqlite
from tests.processes import ROOT, SECONDS, feed, flask, surroundings

pytestmark = on_both("the pipe has statements of its own")

WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")
FLASK = flask("inbound")
PIPE = [sys.executable, "-m", "belong_mail.inbound.pipe"]


def requests(services) -> list[Job]:
    return query(services, select(Job))


@pytest.mark.parametrize("program", [FLASK, PIPE], ids=["flask", "pipe"])
def test_the_pipe_keeps_a_message_sealed_without_a_key_to_open_it(environment, services, program):
    settings = {**environment, **dict.fromkeys(WORKER_ALONE, "")}
    path = VerpAddresses(services.settings.secret_keys, services.settings.mail_domain).return_path(
        1
    )
    done = feed(settings, bounce(path, ADA), f"<{path}>", program=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    [request] = requests(services)
    assert (request.kind, request.failures, request.group_id) == ("return", 0, None)
    assert timedelta() < now() - request.due_at < timedelta(seconds=SECONDS)
    assert request.created_at == request.due_at
    assert ADA not in repr(dump_of(services))


@on_sqlite
def test_a_huge_message_is_read_to_its_end_and_kept_in_part(cli, services):
    """Else the mail server's pipe would break, and it would try for ever."""
    huge = bounce("b+00@example.org", ADA) + b"x" * 60 * MAX_OCTETS
    assert cli.invoke(args=["inbound"], input=huge).exit_code == 0
    source = BytesIO(huge)
    assert (len(pipe.read_message(source)), source.read()) == (MAX_OCTETS, b"")
    [request] = requests(services)
    assert len(request.sealed or b"") < MAX_OCTETS + 1024


@on_sqlite
def test_two_return_paths_are_wrong_use(environment, cli, services):
    for arguments in (("b+00@example.org", "b+01@example.org"), ("b+00@example.org\nb+01",)):
        assert cli.invoke(args=["inbound", *arguments], input=b"x").exit_code == 2
        done = feed(environment, b"x", *arguments, program=PIPE)
        assert (done.returncode, b"Traceback" in done.stderr) == (os.EX_USAGE, False)
    assert requests(services) == []


@on_sqlite
def test_a_message_that_cannot_be_kept_fails_in_a_sentence(cli, services):
    """So that the mail server keeps it, and tries again."""
    with services.writing.kw["bind"].begin() as connection:
        connection.exec_driver_sql("DROP TABLE jobs")
    failed = cli.invoke(args=["inbound"], input=bounce("b+00@example.org", ADA))
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: ")
    assert ADA not in failed.output


@on_sqlite
def test_files_of_any_name_are_explained_and_nothing_is_kept(cli, services, tmp_path):
    path = "b+00@example.org"
    said: dict[str, tuple[bytes, list[object]]] = {
        os.fsdecode(b"d\xe9j\xe0 vu.eml"): (
            bounce(path, "zoë@dpsk12.org"),
            ["bounce", "permanent", True, "5.1.1", ["zoë@dpsk12.org"]],
        ),
        "late.eml": (
            bounce(path, ADA, ("4.4.1", "450 4.4.1 No answer"), "delayed"),
            ["delayed", "temporary", False, "4.4.1", [ADA]],
        ),
        "leave.eml": (apple(path), ["unsubscribe", None, False, "", []]),
    }
    for name, (message, _) in said.items():
        (tmp_path / name).write_bytes(message)
    files = [str(tmp_path / name) for name in said]
    done = cli.invoke(args=["inbound", "explain", *files])
    assert done.exit_code == 0
    names = ("kind", "permanence", "suppress", "status", "recipients")
    assert [json.loads(line) for line in done.output.splitlines()] == [
        {"file": str(tmp_path / name), **dict(zip(names, fields, strict=True))}
        for name, (_, fields) in said.items()
    ]
    assert requests(services) == []


@on_sqlite
def test_the_return_path_of_the_pipe_comes_before_what_the_message_says(cli, scenario):
    scenario.add(ADA, "ben@dpsk12.org")
    issue = scenario.issue()
    ada, ben = (scenario.copies(one)[0].return_path for one in (ADA, "ben@dpsk12.org"))
    cli.invoke(args=["inbound", ada], input=bounce(ben, "ben@dpsk12.org", UNKNOWN))
    scenario.worker.drain()
    scenario.take(ada, bounce(ada, ADA))
    assert scenario.books(issue) == {"recipients": 2, "accepted": 1, "bounced": 1}


@on_sqlite
@pytest.mark.parametrize(
    ("missing", "value"),
    [
        ("BELONG_PUBLIC_KEYS", ""), ("BELONG_SECRET_KEYS", ","),
        ("BELONG_PUBLIC_KEYS", "geheim"), ("BELONG_DATABASE_URL", "sqlite:////nowhere/geheim.db"),
        ("BELONG_DATABASE_URL", "geheim"), ("BELONG_DATABASE_URL", "sqlite:///x?timeout=geheim"),
        ("BELONG_DATABASE_URL", "postgresql+psycopg://u:geheim@127.0.0.1:1/x"),
    ],
)  # fmt: skip
def test_the_pipe_lets_the_mail_server_try_again(environment, services, missing, value):
    done = feed({**environment, missing: value}, b"Subject: Tea\r\n\r\nOn Friday?", program=PIPE)
    assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, b"")
    assert done.stderr.startswith(b"Error: ")
    assert not re.search(b"geheim|Traceback", done.stderr)
    assert requests(services) == []


@on_sqlite
@pytest.mark.parametrize(
    "name", ["BELONG_DATABASE_URL", "BELONG_PUBLIC_KEYS", "BELONG_SECRET_KEYS"]
)
def test_the_pipe_names_no_file_to_the_mail_server(environment, name, tmp_path):
    """It puts what the pipe says into what it sends back."""
    (tmp_path / "geheim").write_bytes(b"\xff")
    given = {key: value for key, value in environment.items() if key != name}
    for file in (tmp_path / "geheim", tmp_path / "nowhere"):
        done = feed({**given, f"{name}_FILE": str(file)}, b"Subject: Tea", program=PIPE)
        assert done.returncode == os.EX_TEMPFAIL
        assert done.stderr.decode() == f"Error: {name}_FILE names a file that cannot be read.\n"


@on_postgresql
def test_the_pipe_reads_the_options_of_the_url_as_web_and_worker_do(environment, services):
    """A schema of its own, for example; a + is a blank, and libpq's own reader leaves it."""
    with services.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA elsewhere")
        connection.exec_driver_sql("CREATE TABLE elsewhere.jobs (LIKE jobs INCLUDING ALL)")
        patience = "text DEFAULT current_setting('statement_timeout')"
        connection.exec_driver_sql(f"ALTER TABLE elsewhere.jobs ADD patience {patience}")
    url = make_url(environment["BELONG_DATABASE_URL"])
    query = {"options": "-c search_path=elsewhere", "connect_timeout": "9"}
    given = url.update_query_dict(query).render_as_string(hide_password=False)
    assert "-c+search_path" in given
    try:
        done = feed({**environment, "BELONG_DATABASE_URL": given}, b"Subject: Tea", program=PIPE)
        assert (done.returncode, done.stderr) == (0, b"")
        with services.engine.begin() as connection:
            kept = connection.exec_driver_sql("SELECT patience FROM elsewhere.jobs")
            assert kept.scalars().all() == ["7s"], "a locked table keeps no mail server waiting"
    finally:
        with services.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA elsewhere CASCADE")
    assert requests(services) == []


@on_sqlite
def test_the_pipe_leaves_no_image_of_its_memory(environment):
    code = (
        "import resource as r, runpy, sys; most = r.getrlimit(r.RLIMIT_CORE)[1];"
        "r.setrlimit(r.RLIMIT_CORE, (most, most)); sys.argv[1:] = ['b+00@example.org'];"
        "print(most)\ntry: runpy.run_module('belong_mail.inbound.pipe', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, *r.getrlimit(r.RLIMIT_CORE))"
    )
    done = feed(environment, b"Subject: Tea", program=[sys.executable, "-c", code])
    most, said = done.stdout.decode().splitlines()
    assert said == f"{os.EX_NOUSER} 0 0"
    if most == "0":
        assert "CI" not in os.environ, "It must be let leave one."
        pytest.skip("NOT TESTED: this machine lets nobody leave one")


def test_the_pipe_starts_without_what_takes_long_to_load(environment):
    code = "import sys, belong_mail.inbound.pipe; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=surroundings(environment), text=True,
        capture_output=True, timeout=SECONDS, check=True, cwd=ROOT,
    )  # fmt: skip
    slow = {"flask", "click", "sqlalchemy", "psycopg", "babel", "jinja2", "email", "asyncio"}
    assert slow & set(ended.stdout.split()) == set()
