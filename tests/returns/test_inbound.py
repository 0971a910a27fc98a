"""The operator's command: a pipe that keeps what it is given sealed, and explains files."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from belong_mail.parts import Parts
from belong_mail.reports.reading import MOST
from belong_mail.sending.names import Names
from belong_mail.subscriptions.models import Request
from tests.dump import dump_of
from tests.marks import on_sqlite
from tests.processes import feed
from tests.returns.mail import FULL, UNKNOWN, apple, bounce, complaint
from tests.returns.village import ADA, Village

WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")


def requests(parts: Parts) -> list[Request]:
    with parts.reading.begin() as session:
        return list(session.scalars(select(Request)))


def test_a_message_is_kept_sealed_by_whoever_has_no_key_to_open_it(
    environment: dict[str, str], parts: Parts
) -> None:
    settings = {**environment, **dict.fromkeys(WORKER_ALONE, "")}
    path = Names(parts.settings.secret_keys, parts.settings.mail_domain).return_path(1)
    done = feed(settings, bounce(path, ADA), "inbound", f"<{path}>")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    [request] = requests(parts)
    assert request.kind == "return"
    assert ADA not in repr(dump_of(parts))


@on_sqlite
def test_a_huge_message_is_read_to_its_end_and_kept_in_part(cli: Any, parts: Parts) -> None:
    """Else the mail server's pipe would break, and it would try for ever."""
    huge = bounce("b+00@example.org", ADA) + b"x" * 60 * MOST
    assert cli.invoke(args=["inbound"], input=huge).exit_code == 0
    [request] = requests(parts)
    assert len(request.sealed or b"") < MOST + 1024


@on_sqlite
def test_two_return_paths_are_wrong_use(cli: Any, parts: Parts) -> None:
    assert cli.invoke(args=["inbound", "b+00@example.org", "b+01@example.org"]).exit_code == 2
    assert cli.invoke(args=["inbound", "b+00@example.org\nb+01"], input=b"x").exit_code == 2
    assert requests(parts) == []


@on_sqlite
def test_a_message_that_cannot_be_kept_fails_in_a_sentence(cli: Any, parts: Parts) -> None:
    """So that the mail server keeps it, and tries again."""
    with parts.writing.kw["bind"].begin() as connection:
        connection.exec_driver_sql("DROP TABLE requests")
    failed = cli.invoke(args=["inbound"], input=bounce("b+00@example.org", ADA))
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: ")
    assert ADA not in failed.output


@on_sqlite
def test_files_are_explained_and_nothing_is_kept(cli: Any, parts: Parts, tmp_path: Path) -> None:
    path = "b+00@example.org"
    said: dict[str, tuple[bytes, list[object]]] = {
        "unknown.eml": (bounce(path, ADA), ["bounce", "permanent", True, "5.1.1", [ADA]]),
        "full.eml": (bounce(path, ADA, FULL), ["bounce", "permanent", False, "5.2.2", [ADA]]),
        "late.eml": (
            bounce(path, ADA, ("4.4.1", "450 4.4.1 No answer"), "delayed"),
            ["delayed", "temporary", False, "4.4.1", [ADA]],
        ),
        "there.eml": (
            bounce(path, ADA, ("2.1.5", "250 2.1.5 Ok"), "delivered"),
            ["delivered", None, False, "2.1.5", [ADA]],
        ),
        "spam.eml": (complaint(path), ["complaint", None, True, "", []]),
        "leave.eml": (apple(path), ["unsubscribe", None, False, "", []]),
        "letter.eml": (b"Subject: Tea\r\n\r\nOn Friday?\r\n", ["other", None, False, "", []]),
        "empty.eml": (b"", ["other", None, False, "", []]),
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
    assert requests(parts) == []


@on_sqlite
def test_a_file_may_have_any_name(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"d\xe9j\xe0 vu.eml")
    file.write_bytes(bounce("b+00@example.org", "zoë@dpsk12.org"))
    done = cli.invoke(args=["inbound", "explain", str(file)])
    assert done.exit_code == 0, done
    said = json.loads(done.output)
    assert (said["file"], said["recipients"]) == (str(file), ["zoë@dpsk12.org"])


@on_sqlite
@pytest.mark.parametrize("args", [["explain"], ["explain", "nowhere.eml"]])
def test_to_explain_nothing_is_wrong_use(cli: Any, args: list[str]) -> None:
    assert cli.invoke(args=["inbound", *args]).exit_code == 2


@on_sqlite
def test_the_return_path_of_the_pipe_comes_before_what_the_message_says(
    cli: Any, village: Village
) -> None:
    village.enter(ADA, "ben@dpsk12.org")
    issue = village.issue()
    ada, ben = (village.copies(one)[0].return_path for one in (ADA, "ben@dpsk12.org"))
    cli.invoke(args=["inbound", ada], input=bounce(ben, "ben@dpsk12.org", UNKNOWN))
    village.worker.drain()
    village.take(ada, bounce(ada, ADA))
    assert village.books(issue) == {"recipients": 2, "accepted": 1, "bounced": 1}
