"""The doctor: looks at everything an operator has to keep right, and says what to do."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dns.exception
import dns.resolver
from sqlalchemy import Engine, text

from belong_mail import revision
from belong_mail.db import UtcTime, now
from belong_mail.mail.connection import Unreachable, connect
from belong_mail.mail.line import Broken
from belong_mail.mail.relay import parse
from belong_mail.operating.figures import Figures
from belong_mail.parts import Settings

LATE = 15 * 60
"""Seconds that a due message may wait."""
SKEW = timedelta(minutes=2)
PRAGMAS = {"journal_mode": ("wal",), "secure_delete": (1,), "synchronous": (2, 3)}
ADVICE = {
    "CONNECT": "Is its name right, does it run, does a firewall stand between?",
    "STARTTLS": "Is its certificate valid, and for this name?",
    "AUTH": "Are user and password right?",
}
SERVERS_OWN = ("fsync", "full_page_writes", "synchronous_commit")

Lookup = Callable[[str, str], list[str]]
"""Answers a name and a type of record with their texts; raises DNSException when it cannot."""


@dataclass(frozen=True, slots=True)
class Finding:
    words: str
    is_wrong: bool = False


def wrong(words: str) -> Finding:
    return Finding(words, is_wrong=True)


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Look whether the worker's keys are here, and who can read their files."""
    if settings.private_keys and settings.index_keys:
        yield Finding("The worker's keys are here, and open what the web seals.")
    else:
        yield wrong("The worker's keys are not here: run this as the worker, with its settings.")
    for kind, forbidden in (("PRIVATE", 0o077), ("INDEX", 0o077), ("SECRET", 0o007)):
        name = f"BELONG_{kind}_KEYS_FILE"
        file = os.environ.get(name)
        if file and stat.S_IMODE(Path(file).stat().st_mode) & forbidden:
            yield wrong(f"{name}: others can read the file. Take the right away with chmod.")


def check_database(engine: Engine) -> Iterator[Finding]:
    """Look at the schema, at what keeps data safe, and on SQLite at each page of the file."""
    try:
        revision.refuse_old(engine)
        yield Finding("The database's schema is up to date.")
    except revision.SchemaIsOld:
        yield wrong("The database's schema is not up to date. Run `db upgrade`.")
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for pragma, fitting in PRAGMAS.items():
                if connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() not in fitting:
                    yield wrong(
                        f"SQLite's {pragma} is not as it should be. Is it a network's disk?"
                    )
            said = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
            yield (
                Finding("The database's file is whole.")
                if said == "ok"
                else wrong(
                    "The database's file is damaged. Stop all, keep it, and put back a copy."
                )
            )
            return
        for setting in SERVERS_OWN:
            if connection.exec_driver_sql(f"SHOW {setting}").scalar() == "off":
                yield wrong(f"PostgreSQL's {setting} is off: a power cut loses data. Turn it on.")
        at = connection.scalar(text("SELECT now()").columns(now=UtcTime()))
        if at is not None and abs(at - now()) > SKEW:
            yield wrong("This machine's clock and the database's differ. Set both by NTP.")


def check_relay(settings: Settings) -> Iterator[Finding]:
    """Connect, secure, log in and say goodbye; no message is begun."""
    if settings.smtp_url.startswith("mailbox:"):
        yield Finding("Mail stays on this machine (mailbox:).")
        return
    relay = parse(settings.smtp_url, ehlo=settings.mail_domain)
    try:
        line = connect(relay)
    except Unreachable as error:
        yield wrong(f"The relay cannot be used, at {error.phase}. {ADVICE.get(error.phase, '')}")
        return
    offered = ", ".join(sorted(name.upper() for name in line.esmtp_features)) or "nothing more"
    with suppress(OSError, Broken):
        line.docmd("QUIT")
    line.close()
    how = "without TLS, on this machine" if relay.tls == "none" else "under TLS"
    yield Finding(f"The relay answers, {how}, and offers {offered}.")


def check_names(domain: str, lookup: Lookup) -> Iterator[Finding]:
    """Look at what the domain's DNS says about its mail."""
    try:
        spf = [each for each in lookup(domain, "TXT") if each.lower().startswith("v=spf1")]
        dmarc = [each for each in lookup(f"_dmarc.{domain}", "TXT") if each.startswith("v=DMARC1")]
        has_mx = bool(lookup(domain, "MX"))
    except dns.exception.DNSException:
        yield Finding("DNS does not answer from here: its records were not looked at.")
        return
    if len(spf) == 1:
        yield Finding("SPF: there is a record. See that it names the relay.")
    else:
        yield wrong(f"SPF: {domain} has {len(spf)} records; it needs one that names the relay.")
    if len(dmarc) == 1:
        yield Finding("DMARC: there is a record.")
    else:
        yield wrong(f"DMARC: _dmarc.{domain} has {len(dmarc)} records; it needs one.")
    if not has_mx:
        yield wrong(f"MX: {domain} takes no mail, so nothing that comes back can arrive.")


def look_up(name: str, kind: str) -> list[str]:
    """Ask the machine's own resolver; a name without such a record has none."""
    try:
        answer = dns.resolver.resolve(name, kind, lifetime=5)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [str(record) for record in answer]


def check_work(figures: Figures) -> Iterator[Finding]:
    """Look at what waits."""
    if figures.is_on_hold:
        yield wrong("Sending is on hold. See `hold status`.")
    if figures.oldest_seconds > LATE:
        minutes = int(figures.oldest_seconds // 60)
        said = figures.last_answer
        why = f"The relay’s last answer: {said}." if said else "Does the worker run?"
        yield wrong(f"The oldest message waits for {minutes} minutes. {why}")
    else:
        yield Finding("No message waits for longer than 15 minutes.")
    if figures.is_coming_back:
        yield wrong("Much mail comes back, or because of us. See `bounce status`, SPF and DMARC.")
    if figures.undelivered:
        number = figures.undelivered
        yield wrong(f"{number} messages have not reached the office. See `contact undelivered`.")
    if figures.unreadable:
        yield wrong(f"{figures.unreadable} requests cannot be read. Is the right private key here?")
