"""A Postfix that signs by opendkim and delivers to a Dovecot: a relay as a district has one.

It is also the server that takes the email in, and says what it would have found.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.relays.debian import ROOT, running
from tests.relays.servers import postfix
from tests.servers.dns import Records
from tests.servers.ports import free_port

DOMAIN, SELECTOR = "example.org", "belong"
ALL = (
    "from,to,subject,date,message-id,list-id,list-unsubscribe,list-unsubscribe-post,reply-to,"
    "mime-version,content-type"
)
# DNS's words about the domain.
RECORDS: Records = {
    (DOMAIN, "TXT"): ["v=spf1 ip4:127.0.0.1 -all"],
    (DOMAIN, "MX"): [f"10 relay.{DOMAIN}."],
    (DOMAIN, "A"): ["127.0.0.1"],
    (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject; psd=n"],
    (f"relay.{DOMAIN}", "A"): ["127.0.0.1"],
}
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
smtpd_recipient_restrictions = {verdict}, permit_mynetworks, reject
smtpd_milters = inet:127.0.0.1:{milter}
milter_default_action = tempfail
"""
# The receiving server's words.
VERDICT = (
    "check_recipient_access static:{prepend Authentication-Results: relay.example.org; dkim=pass"
    " header.d=example.org; spf=pass smtp.mailfrom=example.org; dmarc=pass header.from=example.org}"
)
VIRTUAL = "virtual unix - n n - - virtual\n"


@contextmanager
def signing_relay(inbox, *, is_delivering: bool = True) -> Iterator[int]:
    """Run the relay, which delivers all of the domain to one mailbox; yield its port."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "mailboxes").write_text(f"/./ {inbox.user}/mail/\n")
        home, queue = inbox.imap.folder / "home", folder / "postfix"
        queue.mkdir()
        (home / inbox.user).mkdir(exist_ok=True)
        owner = home.stat()
        os.chown(home / inbox.user, owner.st_uid, owner.st_gid)
        transport = "virtual" if is_delivering else "discard:lost"
        with _opendkim(folder) as milter:
            more = INTO_DOVECOT.format(
                domain=DOMAIN, home=home, folder=folder, transport=transport, milter=milter,
                uid=owner.st_uid, gid=owner.st_gid, verdict=VERDICT,
            )  # fmt: skip
            with postfix(queue, is_pipelining=True, more=more, services=VIRTUAL) as (port, _):
                yield port


@contextmanager
def _opendkim(folder: Path) -> Iterator[int]:
    port, place = free_port(), folder / "opendkim"
    place.mkdir()
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (place / "private.pem").write_bytes(key)
    (place / "signing").write_text("* ours\n")
    (place / "keys").write_text(f"ours {DOMAIN}:{SELECTOR}:{place}/private.pem\n")
    config = place / "opendkim.conf"
    config.write_text(OPENDKIM.format(port=port, folder=place, signed=ALL))
    with running(port, place, ROOT / "usr/sbin/opendkim", "-f", "-x", config):
        yield port
