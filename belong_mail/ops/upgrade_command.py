"""`belong upgrade`: install the newest version step by step, and resume where it was cut off."""

import fcntl
import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

from belong_mail.ops.setup_command import PROGRAM

# The checkout, and the two folders to one of which `.venv` is a link.
HOME = Path(PROGRAM).parents[2]
LINK, BUILDS = ".venv", (".venv-a", ".venv-b")
VERSION_TAG = re.compile(r"v(\d+)[.](\d+)[.](\d+)")
# The password in a repository's URL.
PASSWORD = re.compile("(?<=://)[^/@]*@")
AS_WORKER = "sudo -u belong-worker belong"
COPIES = "/var/lib/belong-worker/before-upgrades"
AFTER = "If CHANGELOG says that a file of deploy/ changed, update yours."


# Sentences, and shell commands that may be interrupted and repeated: $TAG is the new version, $NEW
# the folder for it. The operator's own changes, such as the logo, are kept in a file while git
# replaces the files.
TO_THE_NEW_VERSION: Final = (
    (
        "Take its files; what you changed in yours stays changed",
        """\
rm -f .git/index.lock
test -e .changed || { git diff --binary HEAD > .changed.part; mv .changed.part .changed; }
git checkout --quiet --force --detach "$TAG"
test ! -s .changed || git apply .changed
rm .changed""",
    ),
    (
        "Build it beside the version that runs",
        """\
python3 -m venv --clear "$NEW"
"$NEW/bin/pip" install --quiet --require-hashes -r requirements/run.txt -r requirements/build.txt
"$NEW/bin/pip" install --quiet --no-deps --no-build-isolation .
"$NEW/bin/python" -OO -X no_debug_ranges -m compileall -q "$NEW"/lib""",
    ),
    (
        f"Copy the database, into {COPIES}",
        f"sudo -u belong-worker mkdir -p -m 700 {COPIES}\n{AS_WORKER} db backup {COPIES}",
    ),
    ("Stop worker and web", "systemctl stop belong-worker belong-web"),
    ("Change to the new version", f'ln -sfn "$NEW" .venv-next\nmv -T .venv-next {LINK}'),
)
WITH_THE_NEW_VERSION: Final = (
    ("Bring the database up to date", f"{AS_WORKER} db upgrade\n{AS_WORKER} db check"),
    ("Start web and worker", "systemctl start belong-web belong-worker"),
    ("Ask the doctor", f"{AS_WORKER} doctor"),
)


@click.command("upgrade", epilog="Example: sudo belong upgrade")
def upgrade_command() -> None:
    """Upgrade this machine to the newest version.

    It is the newest tag of the repository that the program was installed from. Copies the
    database, stops the services, changes the version and the database, starts, and asks the doctor.
    Read CHANGELOG first. Run it again if it was cut off, or when what stopped it is fixed.
    """
    if os.geteuid() != 0:
        raise click.ClickException("This changes the program and the services. Run it with sudo.")
    if not (HOME / LINK).is_symlink():
        raise click.ClickException(
            f"{HOME / LINK} is no link, as docs/operators/install.md makes it. With the services"
            f" stopped: cd {HOME} && mv {LINK} {BUILDS[0]} && ln -s {BUILDS[0]} {LINK}"
        )
    os.umask(0o022)
    with (HOME / ".git/upgrade.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException("Another upgrade is running. Wait for its end.") from None
        upgrade(HOME, version("belong-mail"))


def upgrade(home: Path, installed: str) -> None:
    """Run the steps in a checkout, from the installed version. Raises ClickException."""
    origin = PASSWORD.sub("", _git(home, "remote", "get-url", "origin"))
    _git(home, "fetch", "--quiet", "--tags", "origin")
    tag = max(filter(_numbers, _git(home, "tag").split()), key=_numbers, default="")
    is_new = _numbers(tag) > _numbers(f"v{installed}")
    click.echo(f"Installed: {installed}. Newest: {tag or 'none'}, from {origin}.")
    old = (home / LINK).readlink().name
    names = {"TAG": tag, "NEW": BUILDS[old == BUILDS[0]]}
    steps = (*(TO_THE_NEW_VERSION if is_new else ()), *WITH_THE_NEW_VERSION)
    for number, (words, script) in enumerate(steps, 1):
        click.echo(f"{number} of {len(steps)}. {words} …")
        if subprocess.run(  # noqa: S603 - our own
            ["/bin/sh", "-euc", script], check=False, cwd=home, env=os.environ | names
        ).returncode:
            raise click.ClickException(
                f"Step {number} failed; see above. Mend that, and run `belong upgrade` again. Until"
                " then the services may be stopped."
                if number < len(steps)
                else f"The new version runs, but the doctor found something; see above. {AFTER}"
            )
    click.echo(f"Done. {AFTER}")


def _git(home: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, check=False, cwd=home, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    if done.returncode:
        raise click.ClickException(f"git {arguments[0]} failed; see above. Nothing was changed.")
    return done.stdout.strip()


def _numbers(tag: str) -> tuple[int, ...]:
    """Return the numbers in a version's tag, or () for any other tag."""
    found = VERSION_TAG.fullmatch(tag)
    return tuple(map(int, found.groups())) if found else ()
