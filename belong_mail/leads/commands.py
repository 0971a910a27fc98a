"""The office's commands for the questions of sign-up forms."""

import click

from belong_mail.accounts.service import NotFound
from belong_mail.core.audit import Kind
from belong_mail.core.terminal import asks, refusing, say
from belong_mail.leads import question_approval
from belong_mail.web.context import transaction

NO_SUCH = "There is no such question. See `question list`."


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
