"""Check configuration and surroundings for `doctor`: keys, relay, mailbox, DNS."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import dns.resolver

from belong_mail.core.services import Services, Settings
from belong_mail.mail.authentication import Lookup, dmarc_policy, dmarc_records, spf_records
from belong_mail.mail.imap.mailbox import MailboxUnavailable, open_mailbox, token_source
from belong_mail.mail.smtp.connection import ProtocolError, RelayUnavailable, connect
from belong_mail.monitoring import probe
from belong_mail.monitoring.measures import INBOUND_ADVICE
from belong_mail.newsletters.checklist import MAX_WITH_FLYERS
from belong_mail.ops import hold
from belong_mail.ops.findings import Finding, failure

ADVICE = {
    "CONNECT": "Is its name right? Is it running? Is a firewall in between?",
    "STARTTLS": (
        "Is its certificate valid for this name, and signed by whom this machine trusts? An"
        " authority of your own: add ?ca=FILE to the relay's URL."
    ),
    "AUTH": "Are the user and password right? With auth=xoauth2: may this user send by SMTP?",
    "TOKEN": "Is BELONG_SMTP_CREDENTIALS right, and does the token endpoint answer?",
}


# Advice by a pattern of the error, whichever step failed.
ERROR_ADVICE = {
    "not offered": (
        "It offers no STARTTLS, and nothing is sent without TLS. Turn TLS on there, or take its"
        " port for smtps://."
    ),
    "connect: answered|auth: answered 4": (
        "It answers, and refuses us: by a limit, or by a rule on who may send. Its log says which."
    ),
}


def advice_for(error: RelayUnavailable) -> str:
    """Return advice about a relay that cannot be used."""
    said = str(error).lower()
    found = (words for pattern, words in ERROR_ADVICE.items() if re.search(pattern, said))
    return next(found, ADVICE.get(error.phase, ""))


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Check that the worker's keys are here, and that no one else can read their files."""
    if settings.private_keys and settings.index_keys:
        yield Finding("The worker's keys are here, and they open what the web seals.")
    else:
        yield failure("The worker's keys are not here. Run this as the worker, with its settings.")
    for kind, forbidden in (("PRIVATE", 0o077), ("INDEX", 0o077), ("SECRET", 0o007)):
        name = f"BELONG_{kind}_KEYS_FILE"
        file = os.environ.get(name)
        if file and stat.S_IMODE(Path(file).stat().st_mode) & forbidden:
            yield failure(f"{name}: other users can read the file. Fix it with chmod.")


def check_relay(settings: Settings) -> Iterator[Finding]:
    """Connect to the relay and log in, without beginning a message."""
    if settings.smtp_url.startswith("mailbox:"):
        yield Finding("Email stays on this machine (mailbox:).")
        return
    relay = settings.relay
    try:
        line = connect(relay)
    except RelayUnavailable as error:
        yield failure(f"The relay cannot be used, at {error}. {advice_for(error)}")
        return
    size = line.esmtp_features.get("size", "")
    offered = ", ".join(sorted(name.upper() for name in line.esmtp_features)) or "nothing more"
    with suppress(OSError, ProtocolError):
        line.docmd("QUIT")
    line.close()
    how = "without TLS, on this machine" if relay.tls == "none" else "over TLS"
    known = ", takes our sign-in" if relay.username else ""
    yield Finding(f"The relay answers, {how}{known}, and offers {offered}.")
    if size.isdecimal() and 0 < int(size) < MAX_WITH_FLYERS:
        yield failure(
            f"The relay takes messages of {int(size):,} octets. A newsletter with pictures and"
            f" flyers can have {MAX_WITH_FLYERS:,}, and would fail. Raise the relay’s limit."
        )


def check_inbound(settings: Settings) -> Iterator[Finding]:
    """Log in to the mailbox for bounces and count messages, without fetching or changing any."""
    location = settings.inbound_mailbox
    if location is None:
        return
    try:
        until = time.monotonic() + probe.MAILBOX_SECONDS
        with open_mailbox(location, token_source(location), until) as mailbox:
            mailbox.select(is_read_only=True)
    except MailboxUnavailable as error:
        advice = INBOUND_ADVICE.get(error.step, "")
        yield failure(f"The mailbox for bounces cannot be used, at {error.step}. {advice}".rstrip())
        return
    yield Finding(f"The mailbox for bounces opens. Unread messages: {mailbox.messages}.")


def check_names(domain: str, lookup: Lookup) -> Iterator[Finding]:
    """Check the DNS records of our email domain."""
    try:
        records, own = len(spf_records(domain, lookup)), len(dmarc_records(domain, lookup))
        place, policy = dmarc_policy(domain, lookup)
        has_mx = bool(lookup(domain, "MX"))
    except dns.exception.DNSException:
        yield Finding("DNS does not answer from here, so its records were not checked.")
        return
    if records == 1:
        yield Finding("SPF: one record. `--probe` says whether it names the relay.")
    else:
        yield failure(f"SPF: {domain} has {records} records. It needs one that names the relay.")
    if own <= 1 and policy:
        yield Finding(f"DMARC: the policy of {place} is {policy}.")
    else:
        yield failure(f"DMARC: _dmarc.{domain} has {own} records. It needs one.")
    if not has_mx:
        yield failure(f"MX: {domain} accepts no email, so bounces cannot arrive.")


def check_probe(services: Services, seconds: float) -> Iterator[Finding]:
    """Send an email to ourselves, and report how it arrived in the mailbox for bounces."""
    settings, location = services.settings, services.settings.inbound_mailbox
    with services.reading() as session:
        is_on_hold = hold.is_on(session)
    if is_on_hold:
        yield failure("No probe was sent: sending is on hold. See `hold status`.")
        return
    if settings.smtp_url.startswith("mailbox:"):
        yield failure("Nothing was sent: email stays on this machine (mailbox:).")
        return
    if location is None:
        yield failure(
            "Nothing was sent: BELONG_INBOUND_URL is not set, so what arrives cannot be read, and"
            " signature, alignment, return path, SPF and DMARC were not checked. Save a newsletter"
            " with all its headers, and run `doctor --probe-file FILE`."
        )
        return
    sent, begun = probe.write_probe(services), time.monotonic()
    try:
        refusal = probe.hand_over(settings.relay, sent)
    except (RelayUnavailable, ProtocolError, OSError):
        yield failure("The probe was not sent: the relay cannot be used, as said above.")
        return
    if refusal is not None:
        yield failure(f"The relay refused the probe, at {refusal.verb} ({refusal.code}).")
        return
    try:
        raw = probe.fetch(location, sent.mark, seconds)
    except MailboxUnavailable as error:
        advice = INBOUND_ADVICE.get(error.step, "")
        yield failure(f"The probe left, but the mailbox cannot be used, at {error.step}. {advice}")
        return
    yield from _judge_probe(settings, raw, time.monotonic() - begun)


def _judge_probe(settings: Settings, raw: bytes | None, seconds: float) -> Iterator[Finding]:
    if raw is None:
        yield failure(
            f"The relay took the probe, and nothing arrived within {seconds:.0f} seconds. Is b+…@"
            f"{settings.mail_domain} delivered to the mailbox that BELONG_INBOUND_URL"
            " names? Look into the relay’s log, and into the mailbox’s spam folder."
        )
        return
    yield Finding(f"The probe arrived after {seconds:.0f} seconds, and was removed.")
    yield from probe.judge(settings, raw)


def resolver(server: str = "") -> Lookup:
    """Return a lookup by a DNS server, given as HOST or HOST:PORT, or by the machine's own."""
    if not server:
        return partial(look_up, dns.resolver.get_default_resolver())
    host, _, port = server.partition(":")
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.port = [host], int(port or 53)
    return partial(look_up, asked)


def look_up(asked: dns.resolver.Resolver, name: str, kind: str) -> list[str]:
    """Query DNS; return [] if there is no such record."""
    try:
        answer = asked.resolve(name, kind, lifetime=5)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [str(record) for record in answer]
