"""`belong setup`: ask, write a machine's settings and keys, and check that both work."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from belong_mail.core import encryption
from belong_mail.core.db import has_tables
from belong_mail.core.terminal import FILE
from belong_mail.groups.service import SEEDS
from belong_mail.ops import setup_answers
from belong_mail.ops.setup_answers import DATABASE, ETC, KEYS, QUESTIONS, SQLITE, Answers

# The path in the systemd units and in the script `belong`.
PROGRAM = "/opt/belong-mail/.venv/bin/belong"
WORKER, WEB, SHARED = "belong-worker", "belong-web", "belong"
SETTINGS = ("common.env", "web.env", "worker.env")
# Files that do not exist on a machine without keys.
USED = (*(f"{ETC}/{name}" for name in SETTINGS), DATABASE)
OF_THE_WORKER = ("private", "index")
# Runs a command with the settings of web or worker, as the systemd units do.
RUN = f'set -a; . {ETC}/common.env; . {ETC}/$0.env; umask 007; exec {PROGRAM} "$@"'
USERS_FIRST = "Make users and folders first, as docs/operators/install.md says."
RELAY = "Mail relay: HOST:PORT, or USER@HOST:PORT if it wants a password"
WHERE = "Database: sqlite (a file here), or a PostgreSQL URL, or a file with the URL in it"
NEXT = f"""\
Next:
 1. Copy {KEYS} to a safe place that no backup of this machine reaches. Without these keys, no
    backup can be read, and no one can be emailed: everyone would have to join again.
 2. Start the services, and put a proxy that speaks TLS before 127.0.0.1:5000.
 3. Ask the doctor: sudo -u belong-worker belong doctor
docs/operators/install.md has each step."""


class NewFile(NamedTuple):
    """A file to write, with its owner and group."""

    path: str
    text: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"


def _with_questions(command: Callable[..., None]) -> Callable[..., None]:
    """Add a flag for each question to a command."""
    for each in reversed(QUESTIONS):
        command = click.option(each.flag, default="", help=f"{each.words}.")(command)
    return command


@click.command("setup", epilog="Example: sudo /opt/belong-mail/.venv/bin/belong setup")
@_with_questions
@click.option("--relay", default="", help=f"{RELAY}; or its URL.")
@click.option("--relay-password-file", type=FILE, help="A file with the relay's password.")
@click.option("--database", default="", help=f"{WHERE}.")
@click.option(
    "--web-database", default="", help="For PostgreSQL: the same with the web's own role."
)
@click.option("--seed", type=click.Choice(SEEDS), help="Begin with the groups of this district.")
@click.option("--yes", is_flag=True, help="Ask nothing; for scripts.")
@click.option(
    "--root",
    default=Path("/"),
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write below this folder, as for an image: no database is made.",
)
def setup_command(root: Path, *, yes: bool, **given: Any) -> None:
    """Write the settings and keys of this machine.

    Asks for what it needs, or takes flags. Makes the database, and checks that web and worker can
    use it. Run again, it writes what is missing and changes no file that is there. Users and
    folders come first, as docs/operators/install.md says.
    """
    _require_place(root)
    is_written = all(_place(root, f"{ETC}/{name}").exists() for name in SETTINGS)
    answers = None if is_written else _read_answers(given, may_ask=not yes)
    if answers is None:
        click.echo(f"Settings are there, and no flag changes them: edit the files in {ETC}.")
    missing = [file for file in _files(root, answers) if not _place(root, file.path).exists()]
    if missing and not yes:
        click.confirm(f"Files to write to {ETC}: {len(missing)}. Go on?", abort=True)
    try:
        for file in missing:
            _write(root, file)
            click.echo(f"made {file.path} ({file.mode:04o}, {file.owner}:{file.group})")
    except OSError as error:
        raise click.ClickException(f"{error}. Mend it, then run setup again.") from error
    if not missing:
        click.echo("Everything is there already.")
    if root == Path("/"):
        seed = ["--seed", given["seed"]] if given["seed"] else []
        _check(None if is_written else seed)


def _require_place(root: Path) -> None:
    if os.geteuid() != 0:
        raise click.ClickException("Setup writes files that only root can write. Run it with sudo.")
    if root == Path("/") and not Path(PROGRAM).exists():
        raise click.ClickException(f"The services start {PROGRAM}, which is not there.")
    for name in (WEB, WORKER):
        _number(root, "passwd", name)
    if not _place(root, KEYS).is_dir():
        raise click.ClickException(f"There is no folder {KEYS}. {USERS_FIRST}")


def _place(root: Path, path: str) -> Path:
    return root / path.removeprefix("/")


def _number(root: Path, database: str, name: str) -> int:
    """Return the number of a user (`passwd`) or group (`group`). Raises ClickException."""
    for line in (root / "etc" / database).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split(":")[2])
    raise click.ClickException(f"{name} is not in /etc/{database}. {USERS_FIRST}")


def _read_answers(given: Mapping[str, Any], *, may_ask: bool) -> Answers:
    """Return the flags, prompting for missing ones. Raises UsageError with all faults."""
    needed = [each.flag for each in QUESTIONS if each.default is None and not given[each.name]]
    needed += [f"--{name}" for name in ("relay", "database") if not given[name]]
    if needed and not may_ask:
        raise click.UsageError(f"With --yes these are needed: {', '.join(needed)}.")
    said: dict[str, str] = {}
    for each in QUESTIONS:
        default = each.default(said) if each.default else None
        asked = _ask(each.words, default) if may_ask and not given[each.name] else default
        said[each.name] = given[each.name] or asked or ""
    relay = given["relay"] or _ask(RELAY)
    password = _password(relay, given["relay_password_file"])
    database = _url(given["database"] or _ask(WHERE, SQLITE))
    web_database = "" if database == SQLITE else _url(given["web_database"]) or database
    if web_database == database and not given["database"]:
        web_database = _url(_ask("The same with the web's own role", database))
    answers = Answers(
        given=said,
        relay_url=setup_answers.relay_url(relay, password),
        database=database,
        web_database=web_database,
    )
    if complaints := list(answers.complaints()):
        raise click.UsageError("\n".join(complaints))
    return answers


def _ask(words: str, default: str | None = None) -> str:
    return str(click.prompt(words, default=default)).strip()


def _password(relay: str, file: Path | None) -> str:
    """Return the relay's password if it needs one; it is never an argument."""
    if "@" not in relay or "://" in relay:
        return ""
    if file is not None:
        return file.read_text().strip()
    return str(click.prompt("Password for the relay", hide_input=True))


def _url(given: str) -> str:
    """Return the given database URL, or the one in the given file."""
    if given in {"", SQLITE} or "://" in given:
        return given
    try:
        return Path(given).read_text().strip()
    except OSError as error:
        raise click.UsageError(f"{given} is no URL, and no file that can be read.") from error


def _files(root: Path, answers: Answers | None) -> list[NewFile]:
    """List files of keys and settings. Raises ClickException if new keys won't open the data."""
    there = [kind for kind in encryption.KINDS if _place(root, f"{KEYS}/{kind}").exists()]
    if there and len(there) < len(encryption.KINDS):
        raise click.ClickException(
            f"Some keys are in {KEYS} and others are not. Bring the missing ones back from your"
            " copy: new ones would open nothing. If nobody has used this site yet, remove the keys"
            " and run setup again."
        )
    used = [] if there else _signs_of_use(root, answers)
    if used:
        raise click.ClickException(
            f"There are no keys in {KEYS}, but this site has been in use: see {used[0]}. Bring the"
            " keys back from your copy: new ones would open nothing. Keep that copy as it is. If"
            " nobody has used this site yet, remove these and run setup again:"
            f" {', '.join(used)}."
        )
    keys = {} if there else encryption.new_keys()
    return [
        *(_key(kind, key, is_shared=kind not in OF_THE_WORKER) for kind, key in keys.items()),
        *(_of_answers(answers) if answers else ()),
    ]


def _key(name: str, value: str, *, is_shared: bool) -> NewFile:
    """Return the file of a secret, readable only by the users who need it."""
    if is_shared:
        return NewFile(f"{KEYS}/{name}", f"{value}\n", 0o640, "root", SHARED)
    return NewFile(f"{KEYS}/{name}", f"{value}\n", 0o400, WORKER, WORKER)


def _of_answers(answers: Answers) -> list[NewFile]:
    """Return the settings files (shared, web, worker), and a file for each secret."""
    secrets = [_key("relay", answers.relay_url, is_shared=False)]
    if not answers.is_sqlite:
        secrets.append(_key("database", answers.database, is_shared=False))
        secrets.append(_key("web-database", answers.web_database, is_shared=True))
    given = zip(SETTINGS, (answers.common(), answers.of_web(), answers.of_worker()), strict=True)
    settings = (NewFile(f"{ETC}/{name}", setup_answers.lines(each)) for name, each in given)
    return [*secrets, *settings]


def _signs_of_use(root: Path, answers: Answers | None) -> list[str]:
    """List files and tables that do not exist on a machine without keys."""
    used = [place for place in USED if os.path.lexists(_place(root, place))]
    if answers and not answers.is_sqlite and root == Path("/") and has_tables(answers.database):
        used.append("the tables in the database that you named")
    return used


def _write(root: Path, file: NewFile) -> None:
    """Write a file whole or not at all, never readable by more users than intended."""
    place = _place(root, file.path)
    part = place.with_name(f".{place.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(file.text)
        owner, group = _number(root, "passwd", file.owner), _number(root, "group", file.group)
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, file.mode)
        out.flush()
        os.fsync(descriptor)
    try:
        os.link(part, place)  # Unlike a rename, it replaces no file.
    finally:
        part.unlink()


def _check(seed: list[str] | None) -> None:
    """Create a new site's database, and check the settings as each user."""
    if seed is not None and _belong(WORKER, "db", "upgrade", *seed):
        raise click.ClickException(
            "The database could not be made. Mend it, then run: sudo -u belong-worker belong db"
            " upgrade"
        )
    for user in (WORKER, WEB):
        if _belong(user, "db", "check"):
            raise click.ClickException(f"{user} cannot use the database with its settings.")
    click.echo(NEXT)


def _belong(user: str, *arguments: str) -> int:
    """Run a command as web or worker, with its settings."""
    command = ["/bin/sh", "-ec", RUN, user.removeprefix("belong-"), *arguments]
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    return subprocess.run(  # noqa: S603 - our own
        command, check=False, cwd=ETC, env=env, user=user, group=user, extra_groups=[SHARED]
    ).returncode
