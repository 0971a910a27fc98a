"""The commands for newsletters: send, report, release, cancel, pause, stop."""

import json
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.terminal import FILE, MOMENT, asks, refusing
from belong_mail.groups.commands import require_group
from belong_mail.newsletters import approval
from belong_mail.newsletters import release as issue_release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.checklist import UnfitIssue, require_rendered_fit
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import InvalidState
from belong_mail.web.context import read_transaction, services, transaction


@click.group("newsletter")
def newsletter_commands() -> None:
    """Send newsletters, control them and read their reports."""


@newsletter_commands.command(
    "send",
    epilog='Example: belong newsletter send asian june.md --subject "June" --at "2027-06-01 09:00"',
)
@click.argument("slug")
@click.argument("file", type=FILE)
@click.option("--subject", required=True, help="One line that does not name the group.")
@click.option("--at", type=MOMENT, help="Local time to send it. Default: at once.")
@click.option("--json", "is_json", is_flag=True, help='Print {"id": …}.')
@asks("There is no time to undo. Send {file} to the members of {slug}?")
def send_newsletter(
    slug: str, file: Path, subject: str, at: datetime | None, *, is_json: bool
) -> None:
    """Send the Markdown FILE to the members of the group SLUG.

    The worker begins within seconds, so there is no time to undo. Prints the newsletter's ID.
    """
    with refusing(UnicodeDecodeError, words="The file is not UTF-8 text.", kind=click.BadParameter):
        text = file.read_text(encoding="utf-8-sig")
    with transaction() as session:
        group = require_group(session, slug)
        with refusing(newsletters.InvalidNewsletter, kind=click.BadParameter):
            newsletter = newsletters.draft(session, group, subject, text)
        _require_fit(newsletter)
        approval.exempt(session, newsletter)
        due_at = at.replace(tzinfo=services().settings.timezone) if at else now()
        issue_release.release(session, newsletter, due_at)
    click.echo(json.dumps({"id": newsletter.public_id}) if is_json else newsletter.public_id)


@newsletter_commands.command("report", epilog="Example: belong newsletter report ID --json")
@click.argument("newsletter_id", metavar="ID")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def report_newsletter(newsletter_id: str, *, is_json: bool) -> None:
    """Count a newsletter's copies by state, in exact numbers."""
    with transaction() as session:
        counts = newsletters.report(session, require_newsletter(session, newsletter_id))
    lines = (f"{name}\t{number}" for name, number in counts.items())
    click.echo(json.dumps(counts) if is_json else "\n".join(lines))


@newsletter_commands.command("list", epilog="Example: belong newsletter list --last 50")
@click.option("--last", default=20, show_default=True, help="How many that were queued to list.")
def list_newsletters(last: int) -> None:
    """List what is scheduled, held, being sent or sent.

    One a line, with its ID, state, group, time (UTC) and number in the log: first what waits, then
    what was queued, the last one first. No subject.
    """
    with read_transaction() as session:
        waiting = issue_release.open_issues(session)
        queued = issue_release.queued_issues(session, 0, last)
        for issue in dict.fromkeys([*waiting, *queued]):
            at = issue.queued_at or issue.due_at
            time = f"{at:%Y-%m-%d %H:%M}" if at else "-"
            state = issue_release.issue_status(session, issue).state
            click.echo(f"{issue.public_id}\t{state}\t{issue.group.slug}\t{time}\t{issue.id}")


def _require_fit(newsletter: Newsletter, outcome: str = "Nothing was sent.") -> None:
    """Raise ClickException with the outcome and the reasons, if the gate refuses a newsletter."""
    try:
        require_rendered_fit(newsletter, services().renderer, services().links)
    except UnfitIssue as error:
        said = dict.fromkeys(each.words % {"named": each.named} for each in error.problems)
        raise click.ClickException("\n".join((outcome, *said))) from error


def require_newsletter(session: Session, newsletter_id: str) -> Newsletter:
    """Find the newsletter of a command, or exit with status 2."""
    newsletter = newsletters.find(session, newsletter_id)
    if newsletter is None:
        raise click.BadParameter(f"There is no newsletter “{newsletter_id}”.")
    return newsletter


def _run_verb(newsletter_id: str, verb: issue_release.Verb, said: str) -> None:
    """Change a newsletter's state, have the worker follow, and print what is said of it."""
    with transaction() as session:
        newsletter = require_newsletter(session, newsletter_id)
        try:
            issue_release.act(session, newsletter, verb)
            issue_release.follow(session, services().sealer, newsletter)
        except InvalidState:
            state = issue_release.issue_status(session, newsletter).state
            raise click.ClickException(
                f"The newsletter is {state}, so this cannot be done now."
            ) from None
    click.echo(said)


@newsletter_commands.command("release", epilog="Example: belong newsletter release ID")
@click.argument("newsletter_id", metavar="ID")
@asks("It goes out to the members at once. Send it?")
def release(newsletter_id: str) -> None:
    """Send a held newsletter now."""
    _run_verb(newsletter_id, _release_if_fit, "The worker is sending it now.")


def _release_if_fit(session: Session, newsletter: Newsletter) -> None:
    _require_fit(newsletter)
    approval.exempt(session, newsletter)
    issue_release.release_held(session, newsletter)


@newsletter_commands.command("cancel", epilog="Example: belong newsletter cancel ID")
@click.argument("newsletter_id", metavar="ID")
def cancel(newsletter_id: str) -> None:
    """Turn a held or scheduled newsletter back into a draft."""
    _run_verb(newsletter_id, issue_release.undo, "It is a draft again. No one gets it.")


@newsletter_commands.command("pause", epilog="Example: belong newsletter pause ID")
@click.argument("newsletter_id", metavar="ID")
def pause(newsletter_id: str) -> None:
    """Pause a newsletter until it is resumed."""
    _run_verb(newsletter_id, issue_release.pause, "Paused. To go on, run `newsletter resume`.")


@newsletter_commands.command("resume", epilog="Example: belong newsletter resume ID")
@click.argument("newsletter_id", metavar="ID")
def resume(newsletter_id: str) -> None:
    """Resume a paused newsletter; no one gets it twice."""
    _run_verb(newsletter_id, _resume_if_fit, "Resumed.")


def _resume_if_fit(session: Session, newsletter: Newsletter) -> None:
    _require_fit(newsletter, "Nothing more was sent.")
    issue_release.resume(session, newsletter)


@newsletter_commands.command("stop", epilog="Example: belong newsletter stop ID")
@click.argument("newsletter_id", metavar="ID")
@asks("It cannot be resumed after that. Stop it for good?")
def stop(newsletter_id: str) -> None:
    """Stop a newsletter for good; send no more copies."""
    said = "Stopped. Copies that had not been sent are withdrawn."
    _run_verb(newsletter_id, issue_release.stop, said)
