"""`belong setup`: the first installation, asked or by flags; again, it makes what is missing."""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from belong_mail.core import encryption
from belong_mail.core.terminal import FILE
from belong_mail.groups.service import SEEDS
from belong_mail.ops import setup_plan
from belong_mail.ops.setup_machine import SYSTEMD, File, Machine, SetupFailed, State, Thing
from belong_mail.ops.setup_plan import SQLITE, Answers

# So long the first worker may take to show that it runs; it takes a few, on a small machine ten.
FIRST_SIGN_SECONDS = 30
# The exit code of an installation of which the doctor has something to say.
DOCTOR_COMPLAINS = 3
# Flags that `--yes` wants, with what is asked without them.
QUESTIONS = {
    "base_url": "Public address of the site, such as https://belong.example.org",
    "district": "The district's whole name, such as Lakeside Public Schools",
    "short": "Its short name, as in “your LPS address”",
    "timezone": "Time zone, such as America/Chicago",
    "domains": "Email domains of your staff, with commas between them",
    "relay": "Mail relay: HOST:PORT, or USER@HOST:PORT if it wants a password",
    "office": "The office's email address",
    "postal_address": "Postal address in the footer of our emails",
    "database": "Database: sqlite (a file here), or a PostgreSQL URL",
}
# The same, which may be left out.
SAFETY_LINE = "Line for a student's safety: NAME PHONE https://ADDRESS, or none"
NEXT = f"""\
Next:
 1. Copy {setup_plan.KEYS} to a safe place that no backup of this machine reaches. Without these
    keys, no backup can be read.
 2. Put a proxy that speaks TLS before 127.0.0.1:5000: see deploy/nginx.conf.
 3. Invite the office: sudo -u belong-worker belong office invite"""


@click.command("setup", epilog="Example: sudo /opt/belong-mail/.venv/bin/belong setup --dry-run")
@click.option("--base-url", default="", help=f"{QUESTIONS['base_url']}.")
@click.option("--district", default="", help=f"{QUESTIONS['district']}.")
@click.option("--short", default="", help=f"{QUESTIONS['short']}.")
@click.option("--site-name", default="", help="What the site is called; SHORT Belong if not given.")
@click.option("--timezone", default="", help=f"{QUESTIONS['timezone']}.")
@click.option("--safety-line", default="", help=f"{SAFETY_LINE}; none if not given.")
@click.option("--domains", default="", help=f"{QUESTIONS['domains']}.")
@click.option("--relay", default="", help=f"{QUESTIONS['relay']}; or its URL.")
@click.option(
    "--relay-password-file",
    type=FILE,
    help="A file with the relay's password.",
)
@click.option("--office", default="", help=f"{QUESTIONS['office']}.")
@click.option(
    "--database", default="", help="sqlite, a PostgreSQL URL, or a file with the URL in it."
)
@click.option(
    "--web-database", default="", help="For PostgreSQL: the same with the web's own role."
)
@click.option("--mail-domain", default="", help="Domain of our emails; the office's if not given.")
@click.option("--postal-address", default="", help=f"{QUESTIONS['postal_address']}.")
@click.option("--seed", type=click.Choice(SEEDS), help="Begin with the groups of this district.")
@click.option("--yes", is_flag=True, help="Ask nothing; for scripts.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--root",
    default=Path("/"),
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Install below this folder, as for an image: nothing is started, no database is made.",
)
def setup_command(root: Path, *, yes: bool, dry_run: bool, **given: Any) -> None:
    """Install the site on this machine.

    Asks for what it needs, or takes flags. Makes users, folders, keys, settings, the database and
    systemd's units, and runs the doctor. Run again, it makes what is missing, changes no file that
    is there, and brings the database up to date, without a copy: make one first, as in runbook 10.
    Exits with 1 if something failed, and with 3 if only the doctor has something to say.
    """
    machine = Machine(root.resolve())
    _require_place(machine, dry_run=dry_run)
    files = (machine.place(f"{setup_plan.ETC}/{name}") for name in setup_plan.SETTINGS)
    is_set_up = all(file.exists() for file in files)
    answers = None if is_set_up else _read_answers(given, may_ask=not yes)
    if answers is None:
        _say_unused(given)
    plan = _plan(machine, answers)
    missing = [thing for thing in plan if thing.state(machine) is State.MISSING]
    if missing and not (yes or dry_run):
        click.confirm(f"Users, folders and files to make: {len(missing)}. Go on?", abort=True)
    try:
        _make(machine, plan, dry_run=dry_run)
        if not dry_run:
            _finish(machine, plan, given["seed"])
    except (SetupFailed, OSError) as error:
        raise click.ClickException(f"{error} Mend it, then run setup again.") from error


def _require_place(machine: Machine, *, dry_run: bool) -> None:
    if dry_run:
        return
    if os.geteuid() != 0:
        raise click.ClickException(
            "Setup makes users and files that only root can make. Run it with sudo, or look first"
            " with --dry-run."
        )
    if machine.is_this and not Path(setup_plan.PROGRAM).exists():
        raise click.ClickException(
            f"The services start {setup_plan.PROGRAM}, which is not there. Install the program in"
            " that place first: see docs/operators/install.md."
        )


def _say_unused(given: Mapping[str, Any]) -> None:
    """Name the flags that change nothing: the settings that they are for are there."""
    flags = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if flags:
        click.echo(
            f"Settings are there already, so these flags were not used: {', '.join(flags)}. To"
            f" change a setting, edit the files in {setup_plan.ETC}."
        )


def _signs_of_use(machine: Machine, answers: Answers | None) -> list[str]:
    """List what no machine has before its first keys, as far as whoever only looks may see."""
    used = [place for place in setup_plan.USED if os.path.lexists(machine.place(place))]
    is_of_a_server = answers is not None and not answers.is_sqlite and machine.is_this
    if answers and is_of_a_server and setup_plan.has_tables(answers.database):
        used.append("the tables in the database that you named")
    return used


def _read_answers(given: Mapping[str, Any], *, may_ask: bool) -> Answers:
    """Take the flags, and ask for what they leave out. Raises UsageError for all that is wrong."""
    said = {name: given[name] for name in QUESTIONS}
    left_out = [name for name, value in said.items() if not value]
    if left_out and not may_ask:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in left_out)
        raise click.UsageError(f"With --yes these are needed: {flags}.")
    for name in left_out:
        default = SQLITE if name == "database" else None
        said[name] = click.prompt(QUESTIONS[name], default=default).strip()
    line = given["safety_line"]
    if may_ask and not line:
        line = click.prompt(SAFETY_LINE, default=setup_plan.NO_LINE).strip()
    relay, database = said.pop("relay"), said.pop("database")
    web_database = given["web_database"]
    if "database" in left_out and database != SQLITE and not web_database:
        web_database = click.prompt("The same with the web's own role", default=database)
    answers = Answers(
        **said,
        relay_url=setup_plan.relay_url(relay, _password(relay, given["relay_password_file"])),
        database=_url(database),
        web_database=_url(web_database),
        mail_domain=given["mail_domain"] or said["office"].rpartition("@")[2],
        site_name=given["site_name"],
        safety_line=line or setup_plan.NO_LINE,
    )
    if complaints := answers.complaints():
        raise click.UsageError("\n".join(complaints))
    return answers


def _password(relay: str, file: Path | None) -> str:
    """Return the relay's password, if it has a user; no argument ever shows it."""
    if "@" not in relay or "://" in relay:
        return ""
    if file is not None:
        return file.read_text().strip()
    return str(click.prompt("Password for the relay", hide_input=True))


def _url(given: str) -> str:
    """Return a database's URL, or the one in the file that is given."""
    if given in {"", SQLITE} or "://" in given:
        return given
    try:
        return Path(given).read_text().strip()
    except OSError as error:
        raise click.UsageError(f"{given} is no URL, and no file that can be read.") from error


def _plan(machine: Machine, answers: Answers | None) -> list[Thing]:
    """List all that belongs to an installation; raise ClickException where keys are missing."""
    places = [f"{setup_plan.KEYS}/{kind}" for kind in encryption.KINDS]
    there = [place for place in places if machine.place(place).exists()]
    if there and len(there) < len(places):
        raise click.ClickException(
            f"Some keys are in {setup_plan.KEYS} and others are not. Bring the missing ones back"
            " from your copy: new ones would open nothing. If nobody has used this site yet, remove"
            " the folder and run setup again."
        )
    used = [] if there else _signs_of_use(machine, answers)
    if used:
        raise click.ClickException(
            f"There are no keys in {setup_plan.KEYS}, but this site has been in use: see {used[0]}."
            " Bring the keys back from your copy: new ones would open nothing. Keep that copy as it"
            " is. If nobody has used this site yet, remove these and run setup again:"
            f" {', '.join(used)}."
        )
    made = dict.fromkeys(encryption.KINDS, "") if there else encryption.new_keys()
    of_answers = setup_plan.settings_files(answers) if answers else []
    return [
        *setup_plan.accounts_and_folders(),
        *setup_plan.keys(made),
        *of_answers,
        *setup_plan.program_files(),
    ]


def _make(machine: Machine, plan: list[Thing], *, dry_run: bool) -> None:
    """Make what is missing, and say so; say what differs."""
    changes = 0
    for thing in plan:
        state = thing.state(machine)
        if state is State.MISSING:
            if not dry_run:
                thing.make(machine)
            changes += 1
            click.echo(f"{'would make' if dry_run else 'made'} {thing.words}")
        elif state is State.DIFFERS:
            click.echo(f"left as it is, though setup would make it otherwise: {thing.words}")
    if not changes:
        click.echo("Everything is there already.")


def _finish(machine: Machine, plan: list[Thing], seed: str | None) -> None:
    """Bring the database up to date, start the services, and run the doctor."""
    files = [thing for thing in plan if isinstance(thing, File)]
    if not machine.is_this:
        click.echo("Below another root: no database was made, nothing was started.")
        return
    seeds = ["--seed", seed] if seed else []
    is_old = bool(seed) or _belong(machine, "db", "check", is_quiet=True)
    if is_old and _belong(machine, "db", "upgrade", *seeds):
        raise SetupFailed("The database could not be made or brought up to date.")
    if start(machine, setup_plan.started_units(files)):
        _await_worker(machine)
    click.echo(NEXT)
    click.echo("The doctor says:")
    if _belong(machine, "doctor"):
        click.echo("Installed. See to what the doctor calls WRONG, then run `belong doctor`.")
        raise click.exceptions.Exit(DOCTOR_COMPLAINS)


def _await_worker(machine: Machine) -> None:
    """Give the worker that was just started time for its first sign, which the doctor wants."""
    until = time.monotonic() + FIRST_SIGN_SECONDS
    while _belong(machine, "status", is_quiet=True) and time.monotonic() < until:
        time.sleep(1)


def _belong(machine: Machine, *arguments: str, is_quiet: bool = False) -> int:
    """Run a command of ours as the worker, with its settings."""
    given = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    given |= setup_plan.worker_environment(machine)
    command = [setup_plan.PROGRAM, *arguments]
    return machine.run_as(setup_plan.WORKER, setup_plan.SHARED, command, given, is_quiet=is_quiet)


def start(machine: Machine, units: list[str]) -> bool:
    """Enable and start the units on a machine that has none yet, where systemd runs it.

    Where some are enabled, the operator has disabled the others. Tell whether any was started.
    """
    if shutil.which("systemctl") is None:
        click.echo("systemd is not here. The units are in place, but nothing was started.")
        return False
    if SYSTEMD.exists():
        machine.run("systemctl", "daemon-reload")
    enabled = [unit for unit in units if machine.is_enabled(unit)]
    for unit in units:
        if not enabled:
            click.echo(f"{machine.enable(unit)} {unit}")
        elif unit not in enabled:
            click.echo(f"left disabled: {unit}. To start it: systemctl enable --now {unit}")
    return SYSTEMD.exists() and not enabled
