"""Issues from the command line, and their reports."""

import json
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy.orm import Session

from belong_mail.current import parts, transaction
from belong_mail.groups import commands as groups
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter


@click.group("newsletter")
def newsletter_commands() -> None:
    """Queue issues and read their reports."""


@newsletter_commands.command("send")
@click.argument("slug")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--subject", required=True)
@click.option("--at", type=click.DateTime(), help="Local time to queue it; else at once.")
@click.option("--json", "is_json", is_flag=True)
def send(slug: str, file: Path, subject: str, at: datetime | None, *, is_json: bool) -> None:
    """Queue the Markdown FILE as an issue for the group SLUG."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.BadParameter("The file is not UTF-8 text.") from error
    with transaction() as session:
        group = groups.named(session, slug)
        try:
            newsletter = newsletters.draft(session, group, subject, text)
        except newsletters.NewsletterRefused as error:
            raise click.BadParameter(str(error)) from error
        if at is None:
            newsletters.queue(session, newsletter)
            if parts().settings.copy_to_office:
                newsletters.copy_to(session, newsletter, parts().seal_to_office())
        else:
            newsletter.due_at = at.replace(tzinfo=parts().settings.timezone)
        is_named = group.name.lower() in subject.lower()
    if is_named:
        click.echo("Warning: the subject names the group, for every eye on the inbox.", err=True)
    click.echo(json.dumps({"id": newsletter.public_id}) if is_json else newsletter.public_id)


@newsletter_commands.command("report")
@click.argument("newsletter_id", metavar="ID")
@click.option("--json", "is_json", is_flag=True)
def report(newsletter_id: str, *, is_json: bool) -> None:
    """Say what became of an issue, in exact numbers."""
    with transaction() as session:
        counts = newsletters.report(session, named(session, newsletter_id))
    lines = (f"{name}\t{number}" for name, number in counts.items())
    click.echo(json.dumps(counts) if is_json else "\n".join(lines))


def named(session: Session, newsletter_id: str) -> Newsletter:
    """Find an issue that a command names."""
    newsletter = newsletters.find(session, newsletter_id)
    if newsletter is None:
        raise click.BadParameter(f"There is no newsletter «{newsletter_id}».")
    return newsletter
