"""The office's commands: which questions are asked."""

import click

from belong_mail.current import transaction
from belong_mail.questions import service as questions

NO_SUCH = "There is no such question. See `question list`."


@click.group("question")
def question_commands() -> None:
    """List, approve and refuse the questions of sign-up forms."""


@question_commands.command("list")
def list_questions() -> None:
    """List the questions, one a line; those that wait for a yes come first."""
    with transaction() as session:
        for group, question in questions.everything(session):
            state = "asked" if question.approved_at else "waits"
            words = [question.label, *question.options]
            said = " | ".join(" / ".join(each.values()) for each in words)
            click.echo(f"{question.id}\t{state}\t{group.slug}\t{question.kind}\t{said}")


@question_commands.command("approve")
@click.argument("question_id", type=int)
def approve_question(question_id: int) -> None:
    """Let people be asked the question QUESTION_ID."""
    with transaction() as session:
        try:
            questions.approve(questions.find(session, question_id))
        except questions.NoSuchQuestion as error:
            raise click.ClickException(NO_SUCH) from error
    click.echo("The question is asked from now on.")


@question_commands.command("refuse")
@click.argument("question_id", type=int)
def refuse_question(question_id: int) -> None:
    """Delete the question QUESTION_ID, whether it waits or is asked already."""
    with transaction() as session:
        try:
            session.delete(questions.find(session, question_id))
        except questions.NoSuchQuestion as error:
            raise click.ClickException(NO_SUCH) from error
    click.echo("The question is gone.")
