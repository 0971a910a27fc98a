"""The operator's read-only commands `doctor` and `status`."""

from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy.orm import Session

from belong_mail.accounts.commands import keys_here
from belong_mail.core.db import now
from belong_mail.core.terminal import FILE
from belong_mail.monitoring import checks
from belong_mail.monitoring.measures import Site
from belong_mail.ops import inspection
from belong_mail.ops.findings import Finding, check_schema
from belong_mail.web.context import read_transaction, services, transaction


@click.command("doctor", epilog="Example: belong doctor --probe --wait 300")
@click.option("--probe", is_flag=True, help="Email ourselves through the relay; say what arrives.")
@click.option(
    "--probe-file",
    type=FILE,
    help="Say the same of a newsletter that was saved with all headers.",
)
@click.option("--wait", default=120.0, show_default=True, help="Seconds to wait for the probe.")
@click.option("--dns", default="", help="Ask this DNS server (HOST or HOST:PORT).")
def doctor_command(probe: bool, probe_file: Path | None, wait: float, dns: str) -> None:  # noqa: FBT001 - click's
    """Check everything and say what to do.

    Looks at keys, database, relay, DNS, clocks and what is waiting. Exits with 1 unless all is
    well. With --probe also: whether a signature and our return path arrive, and what the receiving
    server says of DKIM, SPF and DMARC.
    """
    from belong_mail.monitoring import doctor  # noqa: PLC0415 - not for `status`
    from belong_mail.monitoring.probe import judge  # noqa: PLC0415 - as above

    settings, lookup = services().settings, doctor.resolver(dns)
    findings = list(inspection.check_database(services().engine, settings.web_database_role))
    if not findings[0].is_wrong and inspection.DAMAGED not in findings:
        with transaction() as session:
            findings += _what_stands(session)
            if settings.private_keys and settings.index_keys:
                findings += inspection.check_older_keys(session, keys_here().opener)
                findings.append(inspection.check_key_copy(session))
    findings += inspection.check_sharing(settings)
    findings += [*doctor.check_keys(settings), *doctor.check_relay(settings)]
    findings += doctor.check_inbound(settings)
    if not settings.smtp_url.startswith("mailbox:"):
        findings += doctor.check_names(settings.mail_domain, lookup)
    if probe:
        findings += doctor.check_probe(services(), wait)
    if probe_file:
        findings += judge(settings, probe_file.read_bytes())
    inspection.print_findings(findings)


@click.command(
    "status",
    epilog="Example: belong status || curl -d 'Belong Mail needs a look.'"
    " https://alerts.example.org/x",
)
def status_command() -> None:
    """Report what has been stuck too long, for cron.

    Prints nothing and exits with 0 when all is well; otherwise exits with 1.
    """
    findings = [check_schema(services().engine)]
    findings += inspection.check_sharing(services().settings)
    if not findings[0].is_wrong:
        with read_transaction() as session:
            findings += _what_stands(session)
    wrong = [finding.words for finding in findings if finding.is_wrong]
    click.echo("\n".join(wrong), nl=bool(wrong))
    if wrong:
        raise click.exceptions.Exit(1)


def _what_stands(session: Session) -> Iterator[Finding]:
    """Yield the findings of all checks and, if the keys are here, whether they open the rows."""
    settings = services().settings
    yield from checks.findings(Site(session, settings, now()))
    if settings.private_keys and settings.index_keys:
        yield from inspection.check_opening(session, keys_here())
