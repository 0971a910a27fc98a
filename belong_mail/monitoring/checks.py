"""The table of checks: what is measured, its limit, and what to do beyond it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, select

from belong_mail.core import jobs
from belong_mail.core.db import SKEW
from belong_mail.core.translatable import gettext_noop
from belong_mail.delivery import throttle
from belong_mail.inbound import bounces
from belong_mail.monitoring import measures
from belong_mail.monitoring.measures import Measure, Site
from belong_mail.ops import hold, outbox
from belong_mail.ops.findings import Finding, failure
from belong_mail.ops.hold import RECENT_WORK

MINUTE, HOUR, MEGABYTE = 60, 3600, 1024 * 1024
UNITS: Final = {"": 1, " minutes": MINUTE, " MB": MEGABYTE}
LATE: Final = measures.LATE.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A value with its limit, and the words for exceeding it."""

    # In Prometheus, `belong_NAME`.
    name: str
    # Asks the database for one value, in one statement with the queries of other checks.
    query: Select[Any] | None = None
    measure: Measure = measures.plain
    # Whether the query reads what the web's database role cannot.
    is_private: bool = False
    limit: float = 0
    # Whether the limit is a minimum.
    is_least: bool = False
    # A sentence without its period; with a `unit` the value follows.
    wrong: str
    unit: str | None = None
    # Adds details, such as the relay's reply.
    detail: Callable[[Site], str] | None = None
    todo: str
    # The sentence of `doctor` when the check passes.
    fine: str = ""
    # For the office's page, which translates it; "" if it is not for the office.
    office: str = ""
    # Whether a failure delays forms, so that `/readyz` answers 503.
    stops: bool = False
    # Whether operators get an alert email.
    emails: bool = False
    # Whether the rule for Prometheus has severity “page”.
    pages: bool = False

    def is_wrong(self, value: float) -> bool:
        return value < self.limit if self.is_least else value > self.limit

    def sentence(self, value: float) -> str:
        """Describe the failure, without advice."""
        if self.unit is None:
            return f"{self.wrong}."
        return f"{self.wrong} (now {value // UNITS[self.unit]:.0f}{self.unit})."

    def finding(self, site: Site, value: float | None) -> Finding | None:
        """Return failure and advice, or that all is well, or None if there is nothing to say."""
        if value is not None and self.is_wrong(value):
            detail = self.detail(site) if self.detail else ""
            return failure(" ".join(filter(None, (self.sentence(value), detail, self.todo))))
        return Finding(self.fine) if self.fine and value is not None else None


CHECKS: Final = (
    Check(
        name="worker_missing",
        query=hold.PULSE,
        measure=measures.worker_missing,
        wrong="No worker has run on this database yet",
        todo="Start one: nothing is read or sent.",
        office=gettext_noop("The program that sends email has never run."),
        pages=True,
    ),
    Check(
        name="worker_seconds",
        query=hold.PULSE,
        measure=measures.worker_seconds,
        limit=RECENT_WORK.total_seconds(),
        wrong="No worker has shown that it is running for two minutes",
        unit=" minutes",
        todo="Check its log, and start it again: nothing is read or sent.",
        fine="A worker is running.",
        office=gettext_noop("The program that sends email isn’t running."),
        stops=True,
        pages=True,
    ),
    Check(
        name="worker_ahead_seconds",
        query=hold.PULSE,
        measure=measures.worker_ahead_seconds,
        limit=SKEW.total_seconds(),
        wrong="The last sign of a worker is ahead of this machine's clock",
        unit=" minutes",
        todo="Set the clock by NTP. `outbox retry` tries what was put off meanwhile.",
        stops=True,
        pages=True,
    ),
    Check(
        name="on_hold",
        query=hold.IS_ON,
        wrong="Sending is on hold",
        todo="See `hold status`.",
        office=gettext_noop("Sending is on hold. Nothing is lost."),
        stops=True,
        pages=True,
    ),
    Check(
        name="disk_free_bytes",
        measure=measures.disk_free_bytes,
        # More than a newsletter to 100,000 people needs, or a nightly backup of a large site.
        limit=256 * MEGABYTE,
        is_least=True,
        wrong="A disk that web and worker write to is nearly full",
        unit=" MB",
        todo="`df -h` shows which. Make room: a full one stops forms, sending and backups.",
        fine="The disks that we write to have room.",
        office=gettext_noop("A disk is nearly full."),
        stops=True,
        pages=True,
    ),
    Check(
        name="oldest_due_seconds",
        query=measures.OLDEST_DUE,
        limit=LATE,
        wrong="Email has been waiting for more than 15 minutes",
        unit=" minutes",
        detail=measures.last_answer,
        todo=(
            "Run `doctor`: it tries the relay. It’s usually a changed password, a certificate, a"
            " limit, or the network. Nothing is lost: what waits goes out once that is fixed."
        ),
        fine="No message has been waiting for more than 15 minutes.",
        office=gettext_noop("Email has been waiting for more than 15 minutes."),
        emails=True,
        pages=True,
    ),
    Check(
        name="given_back",
        query=measures.GIVEN_BACK,
        limit=throttle.MAX_IN_HAND,
        wrong="More messages are claimed and given back than are sent",
        unit="",
        todo=(
            "The database or the relay is very slow, or the worker gets no processor time. Nothing"
            " is lost. See “A slow database” in the operators’ guide."
        ),
        pages=True,
    ),
    Check(
        name="oldest_request_seconds",
        query=measures.OLDEST_REQUEST,
        limit=LATE,
        wrong="Requests have been waiting to be read for more than 15 minutes",
        unit=" minutes",
        todo="Is a worker running? Read its log.",
        office=gettext_noop("Forms that people sent have been waiting for more than 15 minutes."),
        stops=True,
        emails=True,
        pages=True,
    ),
    Check(
        name="requests",
        query=measures.REQUESTS,
        limit=10_000,
        wrong="More than 10,000 requests are waiting",
        unit="",
        todo="See “Floods of forms” in the operators’ guide.",
        emails=True,
    ),
    Check(
        name="unreadable_requests",
        query=measures.UNREADABLE_REQUESTS,
        wrong="Requests cannot be read, and are deleted after seven days",
        unit="",
        todo="Is the right private key here? Run `doctor`.",
        pages=True,
    ),
    Check(
        name="flooded",
        query=jobs.IS_FLOODED,
        is_private=True,
        wrong="So many forms are being sent that some are delayed, and some are refused for now",
        todo=(
            "The district’s own networks (BELONG_TRUSTED_NETWORKS) and group leaders’ browsers"
            " aren’t affected. If someone is flooding the site, ask the people who run the network"
            " to block them."
        ),
        emails=True,
    ),
    Check(
        name="unwritable",
        query=measures.UNWRITABLE_EMAILS,
        wrong="Emails to people could not be written, so they were not sent",
        unit="",
        todo=(
            "Their subject or sender would have named a group, or a row was changed. Check the"
            " names and words of groups on the office’s page. If no one changed them, read"
            " docs/threats.md."
        ),
        emails=True,
    ),
    Check(
        name="too_late",
        query=measures.TOO_LATE,
        wrong="Emails to people were held back until it was too late to send them",
        unit="",
        todo=(
            "If the worker or the relay was away, this is normal. If not, someone may have broken"
            " into the website, be testing email addresses, and keep people from being told: check"
            " the web server and who can reach the database. If in doubt, take the website down."
        ),
        emails=True,
    ),
    Check(
        name="asked_of_lists",
        query=measures.ASKED_OF_LISTS,
        is_private=True,
        wrong="People of an imported list are asked to join",
        todo=(
            "The office imports lists on its page. If it did not, someone tries out addresses: take"
            " the website down, and read docs/threats.md."
        ),
        emails=True,
    ),
    Check(
        name="unusual_lookups",
        query=jobs.ARE_UNUSUAL,
        is_private=True,
        wrong="More people than usual asked to join, sign in or see their groups",
        todo=(
            "If a group was just announced, this is normal. Requests over the limit wait their"
            " turn, and nothing is lost. If not, someone may have broken into the website and be"
            " testing email addresses: check the web server and who can reach the database. If in"
            " doubt, take the website down."
        ),
        emails=True,
    ),
    Check(
        name="failed_lookups",
        query=jobs.HAS_FAILED,
        is_private=True,
        wrong="A request that looks up an address failed, or the database failed another one",
        todo=(
            "Read the worker’s log. If the database was not down or very slow, someone may have"
            " broken into the website and be testing email addresses: check the web server and who"
            " can reach the database. If in doubt, take the website down."
        ),
        emails=True,
    ),
    Check(
        name="failing_tasks",
        query=measures.FAILING_TASKS,
        wrong="Tasks of the worker keep failing",
        unit="",
        todo=(
            "Read the worker’s log: it says which. The other tasks go on. Either the database is"
            " slow or locked, or it has a row that we would not write: then look for a break-in."
        ),
        emails=True,
    ),
    Check(
        name="undelivered",
        measure=lambda site, _: len(site.undelivered),
        wrong="Messages to the office or to group leaders were not delivered",
        unit="",
        todo=(
            "None is lost. Usually the inbox is full, misspelled in the settings, or refuses our"
            " email. Once that is fixed, the office’s page “Today” sends them again."
        ),
        office=gettext_noop("Messages to you or to group leaders weren’t delivered."),
        emails=True,
    ),
    Check(
        name="coming_back",
        query=bounces.IS_ALARMING,
        is_private=True,
        wrong="More emails bounce than usual, or they bounce because of our setup",
        todo=(
            "When many addresses bounce as “not found” at once, no one is removed, and the office’s"
            " page says so. The worker’s log has details, and `doctor` checks SPF and DMARC."
        ),
        emails=True,
        pages=True,
    ),
    Check(
        name="inbound_seconds",
        query=measures.INBOUND_FAILS,
        measure=measures.age,
        limit=HOUR,
        wrong="The mailbox for bounces has not been read for an hour",
        unit=" minutes",
        detail=measures.inbound_advice,
        todo="Run `doctor`. Nothing is lost: bounces wait in the mailbox.",
        fine="The mailbox for bounces can be read.",
        office=gettext_noop("The mailbox that bounces come to hasn’t been read for an hour."),
        emails=True,
    ),
    Check(
        name="overdue_issues",
        query=measures.OVERDUE_ISSUES,
        wrong="Newsletters whose time has passed were not sent",
        unit="",
        todo="Is a worker running? Read its log.",
        pages=True,
    ),
    Check(
        name="undecided_issues",
        query=measures.UNDECIDED_ISSUES,
        wrong="Newsletters have been held or paused for more than a day",
        unit="",
        detail=measures.undecided_names,
        todo=(
            "Ask their group leaders, or use `newsletter release`, `resume`, `cancel` or `stop`."
        ),
    ),
    Check(
        name="unexplained",
        measure=lambda site, _: outbox.unexplained(site.session, site.at),
        wrong="Things wait for a time that no rule explains: a clock was ahead",
        unit="",
        todo="Check that NTP sets the clock, then run `outbox retry`.",
    ),
    Check(
        name="backup_seconds",
        query=measures.BACKUP,
        measure=measures.backup_age,
        # By then a late nightly backup has been missed.
        limit=36 * HOUR,
        wrong="The last backup is more than 36 hours old, or none was made",
        todo="Read the log of belong-backup, and run `db backup`.",
        fine="The last backup is no more than 36 hours old.",
    ),
)


def measure(site: Site, checks: Iterable[Check] = CHECKS) -> dict[Check, float | None]:
    """Return the values of the checks that may be measured here."""
    asked = [check for check in checks if not (check.is_private and site.is_web)]
    queries = tuple(check.query for check in asked if check.query is not None)
    row = site.session.execute(_all_of(queries)).one() if queries else ()
    found: dict[Select[Any] | None, Any] = dict(zip(queries, row, strict=True))
    return {check: check.measure(site, found.get(check.query)) for check in asked}


@cache
def _all_of(queries: tuple[Select[Any], ...]) -> Select[Any]:
    return select(*(each.scalar_subquery() for each in queries))


def findings(site: Site) -> Iterator[Finding]:
    """Yield the finding of each check, for `status` and `doctor`."""
    found = (check.finding(site, value) for check, value in measure(site).items())
    yield from filter(None, found)


def wrong(site: Site, checks: Iterable[Check] = CHECKS) -> dict[Check, float]:
    """Return the checks that fail, with their values."""
    return {
        check: value
        for check, value in measure(site, checks).items()
        if value is not None and check.is_wrong(value)
    }


def exposition(site: Site) -> str:
    """Return all values in Prometheus's text format (0.0.4)."""
    lines = [
        "# HELP belong_deliveries Messages, by state.",
        "# TYPE belong_deliveries gauge",
        *(
            f'belong_deliveries{{state="{state}"}} {number}'
            for state, number in measures.deliveries(site.session).items()
        ),
    ]
    measured = measure(site)
    for check in CHECKS:
        value = measured.get(check)
        lines += [
            f"# TYPE belong_{check.name} gauge",
            f"belong_{check.name} {'nan' if value is None else f'{value:.12g}'}",
        ]
    return "\n".join(lines) + "\n"
