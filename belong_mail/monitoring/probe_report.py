"""Say in words what became of a newsletter on its way: for `doctor`."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.utils import parseaddr
from typing import Final

from dns.exception import DNSException

from belong_mail.core.services import Settings
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.authentication import Lookup, dmarc, spf, trace
from belong_mail.mail.authentication.signatures import GOOD_BITS, Signature, signatures
from belong_mail.ops.findings import Finding, failure

# What a signature must cover (RFC 6376, 5.4.1; RFC 8058, 4; the rules of Gmail and Yahoo).
COVERED: Final = (
    "From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post",
)  # fmt: skip
# What nobody on the way may change.
KEPT: Final = ("From", "List-Unsubscribe", "List-Unsubscribe-Post")
# Findings, and in the end whether it passes and aligns.
Judged = Generator[Finding, None, bool]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came back, and what is asked about it."""

    raw: bytes
    parsed: Message
    domain: str
    names: VerpAddresses
    lookup: Lookup
    # As it was sent; None: it is somebody's newsletter, of which that is not known.
    sent: Message | None = None
    return_path: str = ""

    @property
    def arrived_return_path(self) -> str | None:
        """Return where reports go to, as the receiver wrote it down; None: it did not."""
        found = self.parsed.get("Return-Path")
        return None if found is None else parseaddr(str(found))[1]

    @property
    def author(self) -> str:
        """Return the domain of From."""
        return parseaddr(str(self.parsed.get("From", "")))[1].rpartition("@")[2].lower()


def read_arrived(
    settings: Settings, raw: bytes, lookup: Lookup, sent: bytes = b"", return_path: str = ""
) -> Arrived:
    parse = BytesParser().parsebytes
    names = VerpAddresses(settings.secret_keys, settings.mail_domain)
    return Arrived(
        raw, parse(raw), settings.mail_domain.lower(), names, lookup,
        parse(sent) if sent else None, return_path,
    )  # fmt: skip


def judge(arrived: Arrived) -> Iterator[Finding]:
    """Say whether it is signed, unchanged, and what SPF and DMARC make of it."""
    try:
        policy = dmarc.policy_for(arrived.author, arrived.lookup)
        found = signatures(arrived.raw, arrived.parsed, arrived.lookup)
        signed = yield from _judge_signatures(arrived, found, policy)
        yield from _judge_changes(arrived)
        yield from _judge_return_path(arrived)
        sent_by = yield from _judge_spf(arrived, policy)
        yield from _judge_dmarc(arrived, policy, passes=signed or sent_by)
        yield from _judge_names(arrived)
    except DNSException:
        yield failure("DNS does not answer from here, so the rest was not checked. Try `--dns`.")


def _judge_signatures(
    arrived: Arrived, found: list[Signature], policy: dmarc.Policy | None
) -> Judged:
    if not found:
        yield failure(
            "DKIM: it arrived unsigned. Inboxes treat unsigned newsletters as spam or refuse them."
            f" Let the relay sign for {arrived.domain}."
        )
        return False
    is_strict = policy is not None and policy.is_strict("adkim")
    whole = [each for each in found if not each.fault]
    good = [each for each in whole if _is_aligned(each.domain, arrived, is_strict=is_strict)]
    for each in found:
        words = f"DKIM: the signature of {each.domain} does not verify: {each.fault}."
        if each.fault:
            # One that verifies is enough (RFC 9989): another may be a list's, or a forwarder's.
            yield Finding(words) if good or each.is_unknown else failure(words)
    others = sorted({each.domain for each in whole if each not in good})
    if not good and others:
        yield failure(
            f"DKIM: signed for {', '.join(others)}, which does not align with From"
            f" ({arrived.author}{', adkim=s' if is_strict else ''}). For DMARC that counts as"
            f" unsigned. Let the relay sign for {arrived.domain}."
        )
    if good:
        covered = {name.lower() for name in COVERED}
        yield from _judge_best(max(good, key=lambda each: len(covered & each.covered)))
    return bool(good)


def _judge_best(signature: Signature) -> Iterator[Finding]:
    yield Finding(
        f"DKIM: signed for {signature.domain} ({signature.algorithm}), it verifies, and aligns with"
        " From."
    )
    if missing := [name for name in COVERED if name.lower() not in signature.covered]:
        button = any(name.startswith("List-Unsubscribe") for name in missing)
        yield failure(
            f"DKIM: the signature leaves out {', '.join(missing)}."
            + (" Without it inboxes show no unsubscribe button (RFC 8058)." if button else "")
            + " Add what is missing to the header fields that the relay signs."
        )
    else:
        yield Finding(f"DKIM: the signature covers {', '.join(COVERED)}.")
    if signature.is_open_ended:
        yield failure("DKIM: the signature has l=, so anyone can add text below. Turn it off.")
    if 0 < signature.bits < GOOD_BITS and signature.algorithm.startswith("rsa"):
        yield failure(f"DKIM: the key has {signature.bits} bits. Make one of {GOOD_BITS}.")


def _judge_changes(arrived: Arrived) -> Iterator[Finding]:
    if arrived.sent is None:
        return
    for name in KEPT:
        if _plain(arrived.parsed, name) != _plain(arrived.sent, name):
            yield failure(f"The relay changed {name}. Find the rule that does, and turn it off.")
    if _plain(arrived.parsed, "Message-ID") != _plain(arrived.sent, "Message-ID"):
        yield Finding(
            "The relay replaced the Message-ID, so a report counts only if it comes to our return"
            " path: its Message-ID tells us nothing."
        )


def _judge_return_path(arrived: Arrived) -> Iterator[Finding]:
    found = arrived.arrived_return_path
    if found is None:
        yield Finding("The receiver keeps no Return-Path, so it was not checked.")
        return
    expected = arrived.return_path
    is_kept = (
        found.lower() == expected.lower() if expected else arrived.names.read(found) is not None
    )
    if is_kept:
        yield Finding("The return path came back unchanged.")
        return
    where = found.rpartition("@")[2].lower() or "nowhere"
    yield failure(
        f"The relay rewrote the return path; reports now go to {where}. Bounces count only if the"
        " relay sends its own report to our return path, or if a report reaches us and quotes our"
        " Message-ID. docs/relays.md says how to keep it."
    )


def _judge_spf(arrived: Arrived, policy: dmarc.Policy | None) -> Judged:
    hop, path = trace.handed_over(arrived.parsed), arrived.arrived_return_path or ""
    yield from _of_receiver(arrived, "spf")
    if hop is None or not path:
        yield Finding("SPF: nothing says who handed it over, so it was not evaluated here.")
        return False
    domain = path.rpartition("@")[2].lower()
    found = spf.evaluate(hop.address, domain, path, hop.ehlo, arrived.lookup)
    because = f" ({found.why})" if found.why else ""
    if found.result != spf.PASS and trace.is_private(hop.address):
        yield Finding(f"SPF: not evaluated here, for {hop.address} is a private address.")
        return False
    if found.result != spf.PASS:
        yield failure(
            f"SPF: {found.result} for {domain} and {hop.address}, which handed it over{because}."
            f" Let the SPF record of {domain} name the relay."
        )
        return False
    is_strict = policy is not None and policy.is_strict("aspf")
    aligned = _is_aligned(domain, arrived, is_strict=is_strict)
    how = "aligns" if aligned else "does not align"
    yield Finding(f"SPF: pass for {domain} and {hop.address}{because}, which {how} with From.")
    return aligned


def _judge_dmarc(
    arrived: Arrived, policy: dmarc.Policy | None, *, passes: bool
) -> Iterator[Finding]:
    yield from _of_receiver(arrived, "dmarc")
    if policy is None:
        yield failure(
            f"DMARC: {arrived.author} has no record, nor a domain above it. Add _dmarc with"
            " v=DMARC1; p=none."
        )
        return
    said = f"the policy of {policy.published_at} is {policy.action}"
    if passes:
        yield Finding(f"DMARC: pass; {said}.")
    else:
        yield failure(f"DMARC: fail, for neither SPF nor DKIM passes and aligns; {said}.")


def _judge_names(arrived: Arrived) -> Iterator[Finding]:
    hop = trace.handed_over(arrived.parsed)
    if hop is None:
        return
    names, confirmed = trace.confirmed_names(hop.address, arrived.lookup)
    if confirmed:
        yield Finding(f"PTR: {hop.address} is {confirmed[0]}, which has that address.")
    elif trace.is_private(hop.address):
        yield Finding(f"PTR: not checked, for {hop.address} is a private address.")
    elif names:
        yield failure(
            f"PTR: {hop.address} is {names[0]}, which has another address. Gmail refuses it."
        )
    else:
        yield failure(f"PTR: {hop.address} has no name. Gmail and others refuse it.")
    if trace.has_address(hop.ehlo, hop.address, arrived.lookup):
        yield Finding(f"EHLO: it greeted as {hop.ehlo}, which has its address.")
    else:
        yield Finding(f"EHLO: it greeted as {hop.ehlo}, which does not have its address.")


def _of_receiver(arrived: Arrived, method: str) -> Iterator[Finding]:
    result = trace.verdicts(arrived.parsed).get(method)
    if result is None:
        return
    words = f"{method.upper()}: the receiver says {result}."
    yield Finding(words) if result in ("pass", "none") else failure(words)


def _is_aligned(domain: str, arrived: Arrived, *, is_strict: bool) -> bool:
    return dmarc.is_aligned(domain, arrived.author, arrived.lookup, is_strict=is_strict)


def _plain(parsed: Message, name: str) -> str:
    return "".join(str(parsed.get(name, "")).split())
