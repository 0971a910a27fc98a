"""The operator's commands: take in a returned message, or explain one."""

import json
import os
import sys
from pathlib import Path

import click

from belong_mail.core.terminal import FILE, refusing
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.inbound import pipe
from belong_mail.inbound.attribution import asks_to_leave
from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.web.context import services

RETURN_PATH_ARGUMENT = "belong.return_path"


class Inbound(click.Group):
    """A group of commands that also runs itself, with an optional argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            ctx.meta[RETURN_PATH_ARGUMENT] = args.pop(0)
        return super().parse_args(ctx, args)


@click.group(
    "inbound",
    cls=Inbound,
    invoke_without_command=True,
    subcommand_metavar="[RETURN_PATH] < MESSAGE | explain FILE…",
)
@click.pass_context
def inbound_command(ctx: click.Context) -> None:
    """Take in one returned message, from a mail server's pipe.

    RETURN_PATH is the address the message was sent to. If we did not sign it, the exit status is 67
    (unknown user). Without one, the message's own headers must name it. The worker reads the
    message.

    Example: belong inbound RETURN_PATH < message.eml
    """
    if ctx.invoked_subcommand is not None:
        return
    return_path = ctx.meta.get(RETURN_PATH_ARGUMENT, "").strip("<>")
    if not return_path.isprintable():
        raise click.BadParameter("A return path must be one line.")
    settings = services().settings
    message = pipe.read_message(sys.stdin.buffer)
    if pipe.is_forged(VerpAddresses(settings.secret_keys, settings.mail_domain), return_path):
        raise click.exceptions.Exit(os.EX_NOUSER)
    sealed = pipe.seal_returned(services().sealer, return_path, message)
    with refusing(pipe.InboxFull, pipe.DatabaseUnavailable):
        pipe.store(settings.database_url, sealed)


@inbound_command.command("explain", epilog="Example: belong inbound explain bounce.eml")
@click.argument("files", nargs=-1, required=True, type=FILE)
def explain(files: tuple[Path, ...]) -> None:
    """Explain each of FILES in one line of JSON; store nothing."""
    settings = services().settings
    names = VerpAddresses(settings.secret_keys, settings.mail_domain)
    for file in files:
        with file.open("rb") as message:
            report = parse_report(message.read(MAX_OCTETS))
        is_asking = asks_to_leave(names, "", report) is not None
        said = {
            "file": str(file),
            "kind": (Kind.UNSUBSCRIBE if is_asking else report.kind).value,
            "permanence": report.permanence,
            "suppress": report.suppress,
            "status": report.status,
            "recipients": list(report.recipients),
        }
        click.echo(json.dumps(said))
