"""`belong setup` into a folder: what it makes, for whom, and that it changes nothing afterwards."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from belong_mail.core import encryption
from belong_mail.core.db import has_tables
from belong_mail.ops import setup_answers
from belong_mail.ops.setup_answers import CRISIS_LINE, ETC, QUESTIONS
from belong_mail.ops.setup_command import NEXT, PROGRAM, USED, _number, setup_command
from config import Config
from tests.processes import ROOT

CAN_TRY = os.geteuid() == 0 and shutil.which("systemd-sysusers")
pytestmark = pytest.mark.skipif(
    not CAN_TRY, reason="NOT TESTED: setup; it takes root and systemd's programs"
)
FLAGS = {
    "base-url": "https://belong.example.org",
    "district": "Lakeside Public Schools",
    "short": "LPS",
    "timezone": "America/Chicago",
    "domains": "example.org,staff.example.org",
    "relay": "relay.example.org:587",
    "office": "office@example.org",
    "postal-address": "LPS Belong, 1 Main St, Lakeside",
    "database": "sqlite",
}
SAFE_TIP = f"SafeTip 800-555-0100 https://tip.example.org, {CRISIS_LINE}"
POSTGRESQL = "postgresql+psycopg://{}:pa55@db.example.org/belong"
NOBODY = 65_534
# Mode, owner, group of what has a secret in it, or is written by both.
SECRETS = {
    "etc/belong-mail/keys/secret": (0o640, "root", "belong"),
    "etc/belong-mail/keys/public": (0o640, "root", "belong"),
    "etc/belong-mail/keys/private": (0o400, "belong-worker", "belong-worker"),
    "etc/belong-mail/keys/index": (0o400, "belong-worker", "belong-worker"),
    "etc/belong-mail/keys/relay": (0o400, "belong-worker", "belong-worker"),
    "var/lib/belong-mail": (0o2770, "belong-worker", "belong"),
    "var/lib/belong-worker": (0o700, "belong-worker", "belong-worker"),
    "var/lib/belong-worker/copies": (0o700, "belong-worker", "belong-worker"),
    "var/lib/belong-worker/before-upgrades": (0o700, "belong-worker", "belong-worker"),
}


@pytest.fixture
def root(tmp_path) -> Path:
    """Return a bare system with the users and folders of `deploy/` and no more."""
    folder = tmp_path / "root"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\n")
    for program, *file in (
        ("systemd-sysusers", ROOT / "deploy/belong.sysusers"),
        ("systemd-tmpfiles", "--create", ROOT / "deploy/belong.tmpfiles"),
    ):
        subprocess.run([program, f"--root={folder}", *file], check=True, capture_output=True)
    return folder


def setup(root: Path, *more: str, answers: str = "", **flags: str) -> Result:
    """Run it with flags, or with answers if there are some."""
    given = {
        **({} if answers else FLAGS),
        **{name.replace("_", "-"): flags[name] for name in flags},
    }
    arguments = [word for name, value in given.items() for word in (f"--{name}", value)]
    mode = [] if answers else ["--yes"]
    return CliRunner().invoke(
        setup_command, ["--root", str(root), *mode, *arguments, *more], input=answers
    )


def typed(flags: dict[str, str], last: str) -> str:
    """Type answers in the order of the questions; an empty one takes the default."""
    order = [*(each.flag.removeprefix("--") for each in QUESTIONS), "relay", "database"]
    return "".join(f"{flags.get(name, '')}\n" for name in order) + f"{last}\n"


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def standing(root: Path) -> dict[str, tuple[object, ...]]:
    """Say of each file what it is, whose and since when."""
    found: dict[str, tuple[object, ...]] = {}
    for file in root.rglob("*"):
        about = file.lstat()
        text = file.read_bytes() if file.is_file() else b""
        found[str(file.relative_to(root))] = (about.st_mode, about.st_uid, about.st_mtime_ns, text)
    return found


def refuse(root: Path, words: str, status: int = 1, **flags: str) -> str:
    before, refused = standing(root), setup(root, **flags)
    assert (refused.exit_code, words in refused.output) == (status, True), refused.output
    assert standing(root) == before
    return refused.output


def environment(root: Path, name: str) -> dict[str, str]:
    """Read what systemd gives to the web or the worker, with its paths below the root."""
    text = "".join((root / f"etc/belong-mail/{each}.env").read_text() for each in ("common", name))
    pairs = re.findall(r"^(BELONG_\w+)=(.*)$", text, re.MULTILINE)
    return {
        setting: re.sub(
            r"(?<![\w/])/(etc|var)/", rf"{root}/\1/", re.sub(r"""^(['"])(.*)\1$""", r"\2", value)
        )
        for setting, value in pairs
    }


def test_setup_makes_all_that_web_and_worker_need_and_no_more_than_each_may_read(root):
    done(setup(root))
    for path, (mode, owner, group) in SECRETS.items():
        about = (root / path).stat()
        assert stat.S_IMODE(about.st_mode) == mode, path
        assert about.st_uid == _number(root, "passwd", owner), path
        assert about.st_gid == _number(root, "group", group), path
    assert not re.search("PRIVATE|INDEX|keys/relay", "".join(environment(root, "web")))
    web, worker = (Config.read(environment(root, name)) for name in ("web", "worker"))
    assert (web.private_keys, web.index_keys) == ((), ())
    assert worker.private_keys
    assert str(worker.help_lines) == CRISIS_LINE
    assert encryption.validate_keys(web.public_keys, worker.private_keys, worker.index_keys) == []
    assert web.allowed_domains == ("example.org", "staff.example.org")
    assert worker.smtp_url == "smtp://relay.example.org:587"
    shared = next(
        line for line in (root / "etc/group").read_text().splitlines() if line.startswith("belong:")
    )
    assert set(shared.rpartition(":")[2].split(",")) == {"belong-web", "belong-worker"}


def test_the_note_at_the_end_and_the_guide_say_what_is_lost_with_the_keys():
    for said in (NEXT, (ROOT / "docs/operators/install.md").read_text()):
        [lost] = re.findall(r"Without these keys, ([^.:]+)", " ".join(said.split()))
        assert "no one can be emailed" in lost
        assert "no backup can be read" in lost


def test_run_again_it_changes_nothing(root):
    done(setup(root))
    (root / "etc/belong-mail/web.env").write_text("BELONG_SMTP_URL=smtp://mine.example.org\n")
    before = standing(root)
    said = done(setup(root, office="other@example.org"))
    assert standing(root) == before
    assert "Everything is there already." in said
    assert "no flag changes them: edit the files in /etc/belong-mail." in said


def test_missing_files_are_made_and_keys_stay(root):
    done(setup(root))
    before = standing(root)
    lost = ("etc/belong-mail/worker.env", "etc/belong-mail/keys/relay")
    for name in lost:
        (root / name).unlink()
    said = done(setup(root))
    assert said.count("made ") == len(lost)
    after = standing(root)
    assert {name: after[name][3] for name in after} == {name: before[name][3] for name in before}


def test_where_users_or_folders_are_missing_nothing_is_made(root):
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    refuse(root, "docs/operators/install.md")


def test_setup_makes_nothing_without_root_or_without_the_program_in_its_place():
    for user, words in ((NOBODY, "sudo"), (0, PROGRAM)):
        os.seteuid(user)
        try:
            refused = setup(Path("/"))
        finally:
            os.seteuid(0)
        assert (refused.exit_code, words in refused.output) == (1, True)
        assert not Path(ETC).exists()


@pytest.mark.parametrize("lost", encryption.KINDS)
def test_no_new_keys_are_made_where_some_are_left(root, lost):
    done(setup(root))
    (root / "etc/belong-mail/keys" / lost).unlink()
    refuse(root, "Bring the missing ones back")


@pytest.mark.parametrize("left", USED)
def test_no_new_keys_are_made_where_settings_or_a_database_are_left(root, left):
    """As on a machine that was restored from a backup, which has no keys in it."""
    (root / left.removeprefix("/")).write_text("")
    assert left in refuse(root, "Bring the keys back")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_of_a_server_that_is_in_use_shows(environment, services):
    url = make_url(environment["BELONG_DATABASE_URL"])
    found = [
        has_tables(each.render_as_string(hide_password=False))
        for each in (url, url.set(database="postgres"), url.set(database="nowhere"))
    ]
    assert found == [True, False, False]


def test_it_asks_what_it_needs_and_a_password_and_makes_nothing_if_one_says_no(root):
    asked = {**FLAGS, "relay": "sam@relay.example.org:465\npa55/w0rd", "help-lines": SAFE_TIP}
    before = standing(root)
    assert setup(root, answers=typed(asked, "n")).exit_code == 1
    assert standing(root) == before
    said = done(setup(root, answers=typed(asked, "y")))
    assert [each.words for each in QUESTIONS if said.count(each.words) != 1] == []
    assert "w0rd" not in said
    assert environment(root, "web")["BELONG_SMTP_URL"] == "smtps://relay.example.org:465"
    worker = Config.read(environment(root, "worker"))
    assert worker.smtp_url == "smtps://sam:pa55%2Fw0rd@relay.example.org:465"
    assert (worker.site_name, worker.district_short) == ("LPS Belong", "LPS")
    assert worker.timezone.key == "America/Chicago"
    assert str(worker.help_lines) == SAFE_TIP.replace(", ", "\n")


def test_a_script_gives_passwords_in_files_and_with_postgresql_each_has_a_url_of_its_own(
    root, tmp_path
):
    file, password = tmp_path / "url", tmp_path / "password"
    file.write_text(POSTGRESQL.format("belong_worker") + "\n")
    password.write_text("pa55/w0rd\n")
    web_url = POSTGRESQL.format("belong_web")
    given = {"relay": "sam@relay.example.org", "relay_password_file": str(password)}
    assert "pa55" not in done(setup(root, database=str(file), web_database=web_url, **given))
    web, worker = (Config.read(environment(root, name)) for name in ("web", "worker"))
    assert worker.database_url == POSTGRESQL.format("belong_worker")
    assert (web.database_url, worker.web_database_role) == (web_url, "belong_web")
    assert worker.smtp_url == "smtp://sam:pa55%2Fw0rd@relay.example.org"
    assert worker.mail_domain == "example.org", "where the office's address is"
    for name, mode in (("database", 0o400), ("web-database", 0o640)):
        assert stat.S_IMODE((root / "etc/belong-mail/keys" / name).stat().st_mode) == mode


def test_wrong_answers_are_all_said_at_once_and_nothing_is_made(root):
    wrong = refuse(
        root, "--base-url", 2, base_url="http://belong.example.org", domains="@", short="<b>",
        timezone="Lakeside", help_lines="SafeTip", office="nobody",
        relay="smtp://u:pa55@relay.example.org?tls=none", postal_address='5 "$HOME" St',
    )  # fmt: skip
    for flag in (*FLAGS.keys() - {"district", "database"}, "help-lines"):
        assert f"--{flag}" in wrong
    assert "pa55" not in wrong
    assert CliRunner().invoke(setup_command, ["--yes", "--root", str(root)]).exit_code == 2


def test_shell_metacharacters_are_read_as_they_were_given(root):
    """By the shell that hands bounces over, and by systemd, by its rules for quotes."""
    given = {
        "BELONG_CONTACT_INBOX": "a&b.o'brien@example.org",
        "BELONG_POSTAL_ADDRESS": "Box1;id>/tmp/x #5 *",
    }
    done(setup(root, office=given["BELONG_CONTACT_INBOX"], mail_domain="example.org",
               postal_address=given["BELONG_POSTAL_ADDRESS"]))  # fmt: skip
    script = 'set -a; . "$0"; printf "%s\\n%s" "$BELONG_CONTACT_INBOX" "$BELONG_POSTAL_ADDRESS"'
    asked = ["/bin/sh", "-c", script, str(root / "etc/belong-mail/common.env")]
    read = subprocess.run(asked, check=True, capture_output=True, text=True, cwd=root, env={})
    assert read.stdout.splitlines() == [*given.values()]
    assert environment(root, "web").items() >= given.items()


@pytest.mark.parametrize("host", ["$(id)", "`id`", "relay\\"])
def test_no_relay_says_something_to_the_shell(root, host):
    refuse(root, "--relay", 2, relay=f"smtp://{host}:587")


@pytest.mark.parametrize(
    ("relay", "url", "of_the_web"),
    [
        ("relay.example.org", "smtp://relay.example.org", "smtp://relay.example.org"),
        ("localhost:25", "smtp://localhost:25?tls=none", "smtp://localhost:25"),
        ("u@localhost:587", "smtp://u:p%3Aw@localhost:587", "smtp://localhost:587"),
        ("a@b.org@relay.example.org:587", "smtp://a%40b.org:p%3Aw@relay.example.org:587",
         "smtp://relay.example.org:587"),
        ("lmtp://u:p@relay.example.org:24?timeout=9", "lmtp://u:p@relay.example.org:24?timeout=9",
         "lmtp://relay.example.org:24"),
    ],
)  # fmt: skip
def test_the_web_is_told_of_the_relay_without_its_password(relay, url, of_the_web):
    made = setup_answers.relay_url(relay, "p:w")
    assert (made, setup_answers.for_the_web(made)) == (url, of_the_web)
