"""A Postfix that takes everything, delivers later, and reports what it could not into a Dovecot."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.relays.debian import ROOT, run_beside
from tests.relays.fates import COUNTED, GONE, OUTSIDE, SMALL, STAFF
from tests.relays.servers import postfix
from tests.relays.signing import VIRTUAL
from tests.servers.dovecot import Dovecot
from tests.servers.ledger import Copy
from tests.servers.smtp import Server

DOMAIN = "example.org"
MORE = """\
enable_long_queue_ids = yes
virtual_alias_domains =
virtual_alias_maps = regexp:{folder}/aliases
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {home}
virtual_mailbox_maps = regexp:{folder}/mailboxes
virtual_transport = virtual
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 100
transport_maps = regexp:{folder}/ways
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/held
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
delay_warning_time = 1s
"""
WAYS = """\
/@{gone}$/ error:5.4.4 Host or domain name not found
/@({hops})$/ smtp:[127.0.0.1]:{port}
"""
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold")
LINE = re.compile(
    r"postfix/(\w+)\[\d+\]: (\w+): to=<([^>]+)>(?:, orig_to=<([^>]+)>)?.*? status=(\w+)"
)


@dataclass(frozen=True)
class LateRelay:
    """Emails to those who are dead are held until `release`."""

    port: int
    folder: Path
    log: Path

    @property
    def queued(self) -> int:
        """Count what Postfix has not yet done with."""
        folders = [self.folder / "queue" / name for name in QUEUES]
        return sum(len(files) for each in folders for _, _, files in os.walk(each))

    @property
    def put(self) -> int:
        """Count what was put into the mailbox."""
        return self.log.read_text().count("status=sent (delivered to maildir)")

    def wait_until_empty(self, seconds: float) -> None:
        """Wait until everything is delivered or sent back."""
        until = time.monotonic() + seconds
        while self.queued:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.queued} messages are still in Postfix's queue.")
            time.sleep(0.2)

    def release(self) -> None:
        """Deliver what was held; what still cannot be delivered is given up."""
        self._reload("1s")
        run_beside(self.folder, ROOT / "usr/sbin/postsuper", "-c", self.folder, "-H", "ALL")
        run_beside(self.folder, ROOT / "usr/sbin/postqueue", "-c", self.folder, "-f")

    def hold_again(self) -> None:
        self._reload("5d")

    def _reload(self, lifetime: str) -> None:
        main = self.folder / "main.cf"
        kept = [each for each in main.read_text().splitlines() if "queue_lifetime" not in each]
        main.write_text("\n".join([*kept, f"maximal_queue_lifetime = {lifetime}", ""]))
        os.kill(int((self.folder / "queue/pid/master.pid").read_text()), signal.SIGHUP)

    def copies(self) -> list[Copy]:
        """Return every message that was taken for a member; each has a queue id of its own."""
        log = self.log.read_text()
        names = dict(re.findall(r"cleanup\[\d+\]: (\w+): message-id=(\S+)", log))
        senders = dict(re.findall(r"qmgr\[\d+\]: (\w+): from=<(\S*)>", log))
        found = {
            (queue_id, original or to)
            for _, queue_id, to, original, _ in LINE.findall(log)
            if (original or to).startswith("member")
        }
        return [Copy(to, senders[each], names[each], "", 0.0) for each, to in sorted(found)]

    def reports(self) -> list[str]:
        """Return the Message-ID of every message that was put into the mailbox."""
        log = self.log.read_text()
        names = dict(re.findall(r"cleanup\[\d+\]: (\w+): message-id=(\S+)", log))
        put = [found for found in LINE.findall(log) if (found[0], found[4]) == ("virtual", "sent")]
        return [names[queue_id] for _, queue_id, *_ in put]


@contextmanager
def late_relay(imap: Dovecot, user: str, hop: Server) -> Iterator[LateRelay]:
    """Run the relay, which reports to one mailbox and sends everything else to the next hop."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = imap.folder / "home"
        (home / user).mkdir(exist_ok=True)
        owner = home.stat()
        os.chown(home / user, owner.st_uid, owner.st_gid)
        _write_maps(folder, user, hop.port)
        more = MORE.format(
            folder=folder, domain=DOMAIN, home=home, uid=owner.st_uid, gid=owner.st_gid
        )
        with postfix(folder, is_pipelining=True, more=more, services=VIRTUAL) as (port, _):
            yield LateRelay(port, folder, folder / "log")


def _write_maps(folder: Path, user: str, port: int) -> None:
    held = "|".join(fate for fate in COUNTED if fate != "late")
    hops = f"{STAFF}|{SMALL}|{OUTSIDE}"
    (folder / "mailboxes").write_text(f"/./ {user}/mail/\n")
    (folder / "aliases").write_text(f"/^(.*-forwarded)@{STAFF}$/ $1@{OUTSIDE}\n")
    (folder / "held").write_text(f"/-({held})@/ HOLD\n")
    (folder / "ways").write_text(WAYS.format(gone=GONE, hops=hops, port=port))
