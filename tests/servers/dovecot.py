"""Debian's Dovecot on free ports of 127.0.0.1, as nobody: a real IMAP server with real folders.

`.ci/run` installs it and requires it; elsewhere its tests are left out, and the run says so.
"""

import imaplib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest

from belong_mail.mail.imap.location import READ_FOLDER
from tests.servers.ports import free_port
from tests.servers.tls import Authority
from tests.waiting import daemon

PROGRAM = shutil.which("dovecot", path="/usr/sbin:/usr/bin:/usr/local/sbin")
IS_REQUIRED = os.environ.get("REQUIRE_DOVECOT") == "1"
PASSWORD = 'a secret + with % and "quotes"'
SECONDS = 20
CONFIG = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
protocols = imap
listen = 127.0.0.1
ssl_server_cert_file = {certificate}
ssl_server_key_file = {certificate}
auth_allow_cleartext = yes
auth_failure_delay = 0
mail_driver = maildir
mail_path = ~/mail
namespace inbox {{
  inbox = yes
}}
userdb static {{
  fields {{
    uid = {user}
    gid = {group}
    home = {folder}/home/%{{user}}
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
BY_PASSWORD = """\
passdb static {{
  password = {password}
}}
"""
needs_dovecot = pytest.mark.skipif(
    PROGRAM is None and not IS_REQUIRED, reason="NOT TESTED: reading a real mailbox; no Dovecot"
)


@dataclass(frozen=True)
class Dovecot:
    folder: Path
    port: int
    tls_port: int
    ca: Path


@dataclass(frozen=True)
class Inbox:
    imap: Dovecot
    user: str

    def url(self, password: str = PASSWORD, options: str = "") -> str:
        opened = f"{self.user}:{quote(password)}" if password else self.user
        where = f"localhost:{self.imap.tls_port}/INBOX?ca={self.imap.ca}"
        return f"imaps://{opened}@{where}{options}"

    @contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        """Sign in as whoever owns the mailbox, by a client that is not ours."""
        with imaplib.IMAP4("127.0.0.1", self.imap.port, timeout=SECONDS) as client:
            client.login(self.user, PASSWORD)
            yield client

    def put(self, *messages: bytes, folder: str = "INBOX") -> None:
        with self.client() as client:
            for message in messages:
                assert client.append(folder, "", "", message)[0] == "OK"

    def counts(self) -> tuple[int, int]:
        """Count what waits, and what was read."""
        with self.client() as client:
            waiting, read = (
                client.select(f'"{folder}"', readonly=True) for folder in ("INBOX", READ_FOLDER)
            )
        return int(waiting[1][0] or 0), int(read[1][0] or 0) if read[0] == "OK" else 0

    @property
    def maildir(self) -> Path:
        return self.imap.folder / "home" / self.user / "mail"

    def number_anew(self) -> None:
        """Give the inbox another UIDVALIDITY, as a restored server does."""
        time.sleep(1)  # it is made of seconds
        for file in self.maildir.glob("dovecot*"):
            if file.is_file():
                file.unlink()


@contextmanager
def dovecot(passdb: str = "") -> Iterator[Dovecot]:
    if PROGRAM is None:
        raise AssertionError("REQUIRE_DOVECOT is set, and there is no Dovecot.")
    with TemporaryDirectory(prefix="belong-imap-") as name:
        folder = Path(name)
        authority = Authority.make(folder)
        certificate = authority.leaf()
        for made in (folder / "run", folder / "home"):
            made.mkdir()
        (folder / "log").touch()
        is_root = os.geteuid() == 0
        user, group = ("nobody", "nogroup") if is_root else (folder.owner(), folder.group())
        port, tls_port = free_port(), free_port()
        config = folder / "dovecot.conf"
        words = CONFIG + (passdb or BY_PASSWORD)
        quoted = '"' + PASSWORD.replace('"', '\\"') + '"'
        config.write_text(
            words.format(
                folder=folder, user=user, group=group, port=port, tls_port=tls_port,
                certificate=certificate, password=quoted,
            )
        )  # fmt: skip
        for each in (folder, *folder.rglob("*")):
            if is_root:
                shutil.chown(each, user, group)
        owner: dict[str, Any] = (
            {"user": user, "group": group, "extra_groups": []} if is_root else {}
        )
        command = PROGRAM, "-F", "-c", config
        with daemon(*command, ports=(port, tls_port), log=folder / "log", **owner):
            yield Dovecot(folder, port, tls_port, authority.file)
