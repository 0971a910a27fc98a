"""Parse the URL of the mailbox for bounces."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from belong_mail.mail.hosts import InvalidSetting, is_loopback, read_url
from belong_mail.mail.oauth import Credentials, credentials_for, is_plain

# The folder to which messages are moved once they are stored.
READ_FOLDER: Final = "Belong read"
_PORTS: Final = {"imaps": 993, "imap": 143}
_QUERY: Final = frozenset({"auth", "ca", "read", "token_file"})
CREDENTIALS: Final = "BELONG_INBOUND_CREDENTIALS"


@dataclass(frozen=True, slots=True)
class MailboxLocation:
    host: str
    port: int
    is_secure: bool
    user: str = field(repr=False)
    folder: str
    read_folder: str
    ca: str | None
    # Exactly one is set: a password, or OAuth credentials.
    password: str = field(default="", repr=False)
    credentials: Credentials | None = None

    @property
    def name(self) -> str:
        """Return what identifies the mailbox, without its password."""
        return f"{self.user}\x00{self.host}\x00{self.port}\x00{self.folder}"


def parse_mailbox(url: str, root: Path, credentials: str = "") -> MailboxLocation:
    """Parse a mailbox's URL, such as imaps://user:password@host/INBOX. Raises InvalidSetting.

    Paths in it are relative to `root`. imap, without TLS, is for loopback only. With auth=xoauth2,
    OAuth `credentials` or a file with them replace the password.
    """
    parts, port, query = read_url(url, _QUERY)
    if parts.scheme not in _PORTS:
        raise InvalidSetting("It must begin with imaps://.")
    host, user = parts.hostname or "", unquote(parts.username or "")
    password = unquote(parts.password or "")
    if not user or not is_plain(user + password):
        raise InvalidSetting("It must name a user; user and password are ASCII characters.")
    if parts.scheme == "imap" and not is_loopback(host):
        raise InvalidSetting("Only a server on this machine is used without TLS: take imaps://.")
    folder, read_folder = unquote(parts.path.strip("/")) or "INBOX", query.get("read", READ_FOLDER)
    if not is_plain(folder + read_folder) or not read_folder or folder == read_folder:
        raise InvalidSetting("The folder, and the one for what was read, are two ASCII names.")
    ca = str(root / query["ca"]) if "ca" in query else None
    by_token = credentials_for(query, credentials, CREDENTIALS, root, is_needed=True)
    if (by_token is None) != bool(password):
        raise InvalidSetting("It must have a password, or auth=xoauth2 and none.")
    return MailboxLocation(
        host=host, port=port or _PORTS[parts.scheme], is_secure=parts.scheme == "imaps", user=user,
        folder=folder, read_folder=read_folder, ca=ca, password=password, credentials=by_token,
    )  # fmt: skip
