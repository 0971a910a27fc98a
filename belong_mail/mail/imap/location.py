"""Read where the mailbox is that email comes back to, and what opens it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from belong_mail.mail.credentials import (
    Credentials,
    InvalidCredentials,
    is_plain,
    parse_credentials,
)
from belong_mail.mail.hosts import is_loopback, read_url

PASSWORD, OAUTH2 = "password", "oauth2"
# Where what has been read goes.
READ_FOLDER: Final = "Belong read"
_PORTS: Final = {"imaps": 993, "imap": 143}
_QUERY: Final = frozenset({"auth", "ca", "read", "token_file"})
CREDENTIALS: Final = "BELONG_INBOUND_CREDENTIALS"


class InvalidMailbox(ValueError):
    """The mailbox cannot be used. Says what is wrong, never a value."""


@dataclass(frozen=True, slots=True)
class MailboxLocation:
    host: str
    port: int
    is_secure: bool
    user: str = field(repr=False)
    folder: str
    read_folder: str
    ca: str | None
    # One of the two opens it: a password, or what gets a token.
    password: str = field(default="", repr=False)
    credentials: Credentials | None = None

    @property
    def name(self) -> str:
        """Say which mailbox it is, however it is opened."""
        return f"{self.user}\x00{self.host}\x00{self.port}\x00{self.folder}"


def parse_mailbox(
    url: str, root: Path, password: str = "", auth: str = "", credentials: str = ""
) -> MailboxLocation:
    """Read a mailbox's URL, such as imaps://user@host/INBOX; paths start at a root.

    imap, without TLS, is for loopback only. Raises InvalidMailbox.
    """
    parts, port, query = read_url(url, _QUERY, InvalidMailbox)
    if parts.scheme not in _PORTS:
        raise InvalidMailbox("It must begin with imaps://.")
    host, user = parts.hostname or "", unquote(parts.username or "")
    given = unquote(parts.password or "") or password
    if not user or not is_plain(user + given):
        raise InvalidMailbox("It must name a user; user and password are ASCII characters.")
    if parts.scheme == "imap" and not is_loopback(host):
        raise InvalidMailbox("Only a server on this machine is used without TLS: take imaps://.")
    folder, read_folder = unquote(parts.path.strip("/")) or "INBOX", query.get("read", READ_FOLDER)
    if not is_plain(folder + read_folder) or not read_folder or folder == read_folder:
        raise InvalidMailbox("The folder, and the one for what was read, are two ASCII names.")
    file = root / query["token_file"] if "token_file" in query else None
    ca = str(root / query["ca"]) if "ca" in query else None
    if ca is not None and not Path(ca).is_file():
        raise InvalidMailbox("The file of certificates (ca) does not exist.")
    opened_by = None
    if _is_by_token(auth, query.get("auth")):
        given, opened_by = "", Credentials(CREDENTIALS, "" if file else credentials, file)
        if file is None:
            _require_fit(credentials)
    elif not given:
        raise InvalidMailbox("It needs a password: set BELONG_INBOUND_PASSWORD.")
    return MailboxLocation(
        host=host, port=port or _PORTS[parts.scheme], is_secure=parts.scheme == "imaps", user=user,
        folder=folder, read_folder=read_folder, ca=ca, password=given, credentials=opened_by,
    )  # fmt: skip


def _require_fit(credentials: str) -> None:
    try:
        parse_credentials(credentials, CREDENTIALS)
    except InvalidCredentials as error:
        raise InvalidMailbox(str(error)) from None


def _is_by_token(auth: str, option: str | None) -> bool:
    """Tell whether a token opens the mailbox, as the setting or the URL says."""
    said = {auth or PASSWORD if option is None else {"xoauth2": OAUTH2}.get(option, option)}
    if auth:
        said.add(auth)
    if len(said) > 1 or not said <= {PASSWORD, OAUTH2}:
        raise InvalidMailbox("BELONG_INBOUND_AUTH and the URL's auth must be password or oauth2.")
    return said == {OAUTH2}
