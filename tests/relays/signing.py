"""A Postfix that signs by opendkim and delivers to a Dovecot: a relay as a district has one.

It is also the server that takes the email in, and says what it would have found.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.relays.debian import ROOT, running
from tests.relays.servers import postfix
from tests.servers.dns import Records
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_port

DOMAIN, SELECTOR = "example.org", "belong"
ALL = (
    "from,to,subject,date,message-id,list-id,list-unsubscribe,list-unsubscribe-post,reply-to,"
    "mime-version,content-type"
)
OPENDKIM = """\
Mode s
Socket inet:{port}@127.0.0.1
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
InternalHosts 127.0.0.0/8
SigningTable refile:{folder}/signing
KeyTable {folder}/keys
SignHeaders {signed}
RequireSafeKeys no
Background no
Syslog no
"""
INTO_DOVECOT = """\
transport_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {home}
virtual_mailbox_maps = regexp:{folder}/mailboxes
virtual_transport = {transport}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 100
smtpd_recipient_restrictions = {verdict} permit_mynetworks, reject
sender_canonical_maps = {rewriting}
sender_canonical_classes = envelope_sender
"""
RESULTS = "Authentication-Results"
VIRTUAL = "virtual unix - n n - - virtual\n"


@dataclass(frozen=True, kw_only=True)
class Habits:
    """A relay's habits; by default all is well."""

    signs_for: str = DOMAIN
    covered: str = ALL
    is_signing: bool = True
    is_rewriting: bool = False
    is_delivering: bool = True
    # The receiving server's words in Authentication-Results; empty: nothing.
    verdict: str = (
        "relay.example.org; dkim=pass header.d=example.org; spf=pass smtp.mailfrom=example.org;"
        " dmarc=pass header.from=example.org"
    )

    @property
    def records(self) -> Records:
        """Return what DNS says of the domain."""
        return {
            (DOMAIN, "TXT"): ["v=spf1 ip4:127.0.0.1 -all"],
            (DOMAIN, "MX"): [f"10 relay.{DOMAIN}."],
            (DOMAIN, "A"): ["127.0.0.1"],
            (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject; psd=n"],
            (f"relay.{DOMAIN}", "A"): ["127.0.0.1"],
        }


@contextmanager
def signing_relay(imap: Dovecot, user: str, habits: Habits) -> Iterator[int]:
    """Run the relay, which delivers all of the domain to one mailbox; yield its port."""
    with ExitStack() as ends:
        folder = Path(ends.enter_context(TemporaryDirectory()))
        folder.chmod(0o755)
        more = _deliver(folder, imap, user, habits)
        if habits.is_signing:
            port = ends.enter_context(_opendkim(folder, habits))
            more += f"smtpd_milters = inet:127.0.0.1:{port}\nmilter_default_action = tempfail\n"
        queue = folder / "postfix"
        queue.mkdir()
        port, _ = ends.enter_context(
            postfix(queue, is_pipelining=True, more=more, services=VIRTUAL)
        )
        yield port


def _deliver(folder: Path, imap: Dovecot, user: str, habits: Habits) -> str:
    (folder / "mailboxes").write_text(f"/./ {user}/mail/\n")
    (folder / "rewriting").write_text(f"/^b[+]/ bounces@relay.{DOMAIN}\n")
    home = imap.folder / "home"
    told = f"check_recipient_access static:{{prepend {RESULTS}: {habits.verdict}}},"
    (home / user).mkdir(exist_ok=True)
    owner = home.stat()
    os.chown(home / user, owner.st_uid, owner.st_gid)
    return INTO_DOVECOT.format(
        domain=DOMAIN, home=home, folder=folder,
        transport="virtual" if habits.is_delivering else "discard:lost",
        uid=owner.st_uid, gid=owner.st_gid,
        verdict=told if habits.verdict else "",
        rewriting=f"regexp:{folder}/rewriting" if habits.is_rewriting else "",
    )  # fmt: skip


@contextmanager
def _opendkim(folder: Path, habits: Habits) -> Iterator[int]:
    port, place = free_port(), folder / "opendkim"
    place.mkdir()
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = pair.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (place / "private.pem").write_bytes(key)
    (place / "signing").write_text("* ours\n")
    (place / "keys").write_text(f"ours {habits.signs_for}:{SELECTOR}:{place}/private.pem\n")
    config = place / "opendkim.conf"
    config.write_text(OPENDKIM.format(port=port, folder=place, signed=habits.covered))
    with running(port, place, ROOT / "usr/sbin/opendkim", "-f", "-x", config):
        yield port
