"""The office's commands: the questions of sign-up forms, and what a group has published."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import click

from belong_mail.accounts.service import NotFound
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.terminal import asks, progress, refusing, say
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.leads import export, question_approval
from belong_mail.web.context import read_transaction, services, transaction

NO_SUCH = "There is no such question. See `question list`."
# What the bar on the terminal counts.
COUNTED = "Newsletters"
# In a folder where the worker may write, as whom operators run it.
EXAMPLE = "/var/lib/belong-worker/the-village.zip"


@click.group("question")
def question_commands() -> None:
    """List, approve and refuse the questions of sign-up forms."""


@question_commands.command("list")
def list_questions() -> None:
    """List questions; those waiting for approval come first.

    Prints one question a line: number, state, group, kind, words.
    """
    with transaction() as session:
        for group, question in question_approval.all_questions(session):
            state = "asked" if question.approved_at else "waits"
            words = [question.label, *question.options]
            said = " | ".join(" / ".join(each.values()) for each in words)
            click.echo(f"{question.id}\t{state}\t{group.slug}\t{question.kind}\t{said}")


@question_commands.command("approve")
@click.argument("question_id", type=int)
def approve_question(question_id: int) -> None:
    """Approve the question QUESTION_ID."""
    with transaction() as session:
        with refusing(NotFound, words=NO_SUCH):
            question = question_approval.find_question(session, question_id)
        question_approval.approve_question(question)
        question_approval.record(session, Kind.QUESTION_APPROVED, question)
    say("Approved. The question is on the form now.")


@question_commands.command("refuse")
@click.argument("question_id", type=int)
@asks("The question is deleted, and cannot come back. Refuse it?")
def refuse_question(question_id: int) -> None:
    """Delete the question QUESTION_ID.

    Also one that is on the form already.
    """
    with transaction() as session, refusing(NotFound, words=NO_SUCH):
        question_approval.refuse_question(session, question_id)
    say("Deleted.")


@click.command("export", epilog=f"Example: belong export the-village {EXAMPLE}")
@click.argument("slug")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Overwrite FILE without asking.")
def export_command(slug: str, file: Path, *, yes: bool) -> None:
    """Write what the group SLUG has published into the ZIP file FILE.

    Newsletters that were sent, with pictures and flyers; the group's page; questions and meetings.
    Open index.html in it. It says nothing of
    who the members are, but names contact people of meetings. Groups that have ended count too.
    """
    with transaction() as session:
        group = groups.find_of_any_age(session, slug)
        if group is None:
            raise click.BadParameter(f"There is no group “{slug}”. See `group list`.")
        _prepare(file, is_sure=yes)
        audit.record(session, audit.Kind.EXPORTED, group=group)
    number = _write(group.id, file)
    say(f"{file} has {number} newsletters, the page, questions and meetings of {slug}.")


def _prepare(file: Path, *, is_sure: bool) -> None:
    """Ask before a file is overwritten; end the command where it cannot be written."""
    if not file.parent.is_dir():
        raise click.BadParameter(f"There is no folder {file.parent}.")
    if file.exists() and not is_sure:
        click.confirm(f"{file} exists. Overwrite it?", abort=True, err=True)
    words = f"Nothing can be written in {file.parent.absolute()}."
    bad = refusing(OSError, words=words, kind=click.BadParameter)
    with bad, NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-"):
        pass


def _write(group_id: int, file: Path) -> int:
    """Write the file beside its place, readable by its owner alone, and put it there when whole."""
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", delete=False) as written:
        try:
            number = _fill(group_id, written)
            written.flush()
            os.fsync(written.fileno())
            Path(written.name).replace(file)
        except BaseException:
            Path(written.name).unlink()
            raise
    return number


def _fill(group_id: int, written: IO[bytes]) -> int:
    """Write the ZIP, and show on the terminal how far it is."""
    zone = services().settings.timezone
    with read_transaction() as session:
        group = session.get_one(Group, group_id)
        issues = export.count_issues(session, group)
        with progress(issues, COUNTED) as bar:
            return export.Export(session, group, zone, now(), written, bar.update).write()
