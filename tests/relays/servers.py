"""Postfix and Exim: how each is set up to take mail, and how its log says what it took."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.audit import Copy
from tests.relays.debian import IDS, ROOT, running
from tests.servers.ports import free_port

POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {folder}
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ LANG=C
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = relay.example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
default_transport = discard:taken
transport_maps = regexp:{folder}/transport
smtp_dns_support_level = disabled
smtpd_reject_unlisted_recipient = no
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_discard_ehlo_keywords = {discarded}
"""
SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
# An address with a 7 before the @ does not exist; returned email goes to a port.
TRANSPORT = """\
/^b[+]/ smtp:[127.0.0.1]:{back}
/7@/ error:5.1.1 User unknown
"""
QUEUES = (
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
    "pid", "private", "public", "saved", "trace",
)  # fmt: skip
MODES = {"maildrop": 0o730, "public": 0o710}
EXIM = """\
primary_hostname = relay.example.org
exim_path = {root}/usr/sbin/exim4
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts =
acl_smtp_rcpt = accept
acl_smtp_data = accept
queue_only = {is_queueing}
keep_environment = LD_LIBRARY_PATH
deliver_drop_privilege = true
pipelining_advertise_hosts = {advertised}
smtp_accept_max = 50
smtp_accept_queue_per_connection = 0
log_selector = +received_recipients
begin routers
returned:
  driver = manualroute
  local_parts = ^b[+]
  transport = back
  route_list = * 127.0.0.1
  self = send
unknown:
  driver = redirect
  local_parts = *7
  allow_fail
  data = :fail: User unknown
all:
  driver = redirect
  data = :blackhole:
begin transports
back:
  driver = smtp
  port = {back}
  allow_localhost
"""
Log = Callable[[], list[Copy]]


@contextmanager
def postfix(
    folder: Path, *, is_pipelining: bool, back: int = 0, more: str = "", services: str = ""
) -> Iterator[tuple[int, Log]]:
    """Run Postfix, which discards what it takes; yield its port, and what its log says.

    With a port to send back to there are addresses that it cannot deliver to. More settings and
    services have it do something else.
    """
    port = free_port()
    owner, dropper = IDS["postfix"], IDS["postdrop"]
    for name in QUEUES:
        place = folder / "queue" / name
        place.mkdir(parents=True)
        os.chown(place, 0 if name == "pid" else owner, dropper)
        place.chmod(MODES.get(name, 0o700))
    (folder / "data").mkdir()
    os.chown(folder / "data", owner, owner)
    discarded = "" if is_pipelining else "pipelining"
    main = POSTFIX.format(folder=folder, root=ROOT, discarded=discarded)
    (folder / "main.cf").write_text(main + more)
    (folder / "transport").write_text(TRANSPORT.format(back=back) if back else "")
    (folder / "master.cf").write_text(SERVICES.format(port=port) + services)
    with running(port, folder, ROOT / "usr/lib/postfix/sbin/master", "-c", folder, "-d", "-s"):
        yield port, lambda: _read_postfix(_text(folder / "log"))


@contextmanager
def exim(folder: Path, *, is_pipelining: bool, back: int = 0) -> Iterator[tuple[int, Log]]:
    """Run Exim, which queues what it takes; yield its port, and what its log says.

    With a port to send back to it delivers, and there are addresses that it cannot deliver to.
    """
    port = free_port()
    for name in ("spool", "log"):
        (folder / name).mkdir()
        os.chown(folder / name, IDS["Debian-exim"], IDS["Debian-exim"])
    advertised = "*" if is_pipelining else ""
    config = folder / "exim.conf"
    written = EXIM.format(
        folder=folder,
        root=ROOT,
        port=port,
        advertised=advertised,
        back=back,
        is_queueing=str(not back).lower(),
    )
    config.write_text(written)
    (ROOT / "usr/sbin/exim4").chmod(0o755)  # a setuid program does not find its libraries
    with running(port, folder, ROOT / "usr/sbin/exim4", "-C", config, "-bdf", "-q1h"):
        yield port, lambda: _read_exim(_text(folder / "log" / "mainlog"))


def _text(log: Path) -> str:
    """A log begins with the first thing that happens."""
    return log.read_text() if log.exists() else ""


def _read_postfix(log: str) -> list[Copy]:
    """A message was taken when the queue manager has it; the queue id joins its three lines."""
    names = dict(re.findall(r"cleanup\[\d+\]: (\w+): message-id=(\S+)", log))
    senders = dict(re.findall(r"qmgr\[\d+\]: (\w+): from=<(\S*)>", log))
    taken = re.findall(r"discard\[\d+\]: (\w+): to=<(\S+)>.*status=sent", log)
    return [Copy(to, senders[each], names[each]) for each, to in taken]


def _read_exim(log: str) -> list[Copy]:
    taken = re.findall(r" <= (\S+) .* id=(\S+) for (\S+)$", log, re.MULTILINE)
    return [Copy(to, sender, f"<{name}>") for sender, name, to in taken]
