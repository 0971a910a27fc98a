"""Read where the mailbox is that email comes back to, and what opens it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from belong_mail.mail.smtp.transport import is_loopback

PASSWORD, OAUTH2 = "password", "oauth2"
# Where what has been read goes.
READ_FOLDER: Final = "Belong read"
GOOGLE_TOKENS: Final = "https://oauth2.googleapis.com/token"
_PORTS: Final = {"imaps": 993, "imap": 143}
_QUERY: Final = frozenset({"auth", "ca", "read", "token_file"})
# Of each kind of credentials, what it must have.
_NEEDED: Final = {
    "authorized_user": ("client_id", "refresh_token"),
    "service_account": ("client_email", "private_key"),
}


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
    credentials: str = field(default="", repr=False)
    # Read at each look, for what keeps it fresh may be another program.
    credentials_file: Path | None = None

    @property
    def name(self) -> str:
        """Say which mailbox it is, however it is opened."""
        return f"{self.user}\x00{self.host}\x00{self.port}\x00{self.folder}"

    @property
    def is_by_token(self) -> bool:
        return not self.password

    def read_credentials(self) -> Mapping[str, Any]:
        """Return what gets a token; raises InvalidMailbox, OSError or UnicodeDecodeError."""
        if self.credentials_file is not None:
            return parse_credentials(self.credentials_file.read_text().strip())
        return parse_credentials(self.credentials)


def parse_mailbox(
    url: str, root: Path, password: str = "", auth: str = "", credentials: str = ""
) -> MailboxLocation:
    """Read a mailbox's URL, such as imaps://user@host/INBOX; paths start at a root.

    imap, without TLS, is for loopback only. Raises InvalidMailbox.
    """
    parts, port, query = _split(url)
    host, user = parts.hostname or "", unquote(parts.username or "")
    given = unquote(parts.password or "") or password
    if not user or not _is_plain(user + given):
        raise InvalidMailbox("It must name a user; user and password are ASCII characters.")
    if parts.scheme == "imap" and not is_loopback(host):
        raise InvalidMailbox("Only a server on this machine is used without TLS: take imaps://.")
    folder, read_folder = unquote(parts.path.strip("/")) or "INBOX", query.get("read", READ_FOLDER)
    if not _is_plain(folder + read_folder) or not read_folder or folder == read_folder:
        raise InvalidMailbox("The folder, and the one for what was read, are two ASCII names.")
    file = root / query["token_file"] if "token_file" in query else None
    ca = str(root / query["ca"]) if "ca" in query else None
    if ca is not None and not Path(ca).is_file():
        raise InvalidMailbox("The file of certificates (ca) does not exist.")
    if _is_by_token(auth, query.get("auth")):
        given = ""
        if file is None:
            parse_credentials(credentials)
    elif not given:
        raise InvalidMailbox("It needs a password: set BELONG_INBOUND_PASSWORD.")
    else:
        credentials, file = "", None
    return MailboxLocation(
        host=host, port=port, is_secure=parts.scheme == "imaps", user=user, folder=folder,
        read_folder=read_folder, ca=ca, password=given, credentials=credentials,
        credentials_file=file,
    )  # fmt: skip


def parse_credentials(text: str) -> Mapping[str, Any]:
    """Read a JSON key of OAuth 2.0, or a bare access token (under `access_token`)."""
    if not text:
        raise InvalidMailbox("It needs BELONG_INBOUND_CREDENTIALS: a JSON key, or a token.")
    if not text.startswith("{"):
        if not _is_plain(text) or " " in text:
            raise InvalidMailbox("BELONG_INBOUND_CREDENTIALS is neither JSON nor a token.")
        return {"type": "access_token", "access_token": text}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidMailbox("BELONG_INBOUND_CREDENTIALS is not JSON.") from None
    needed = _NEEDED.get(str(said.get("type")))
    if needed is None:
        raise InvalidMailbox("The type of the JSON key must be authorized_user or service_account.")
    if missing := [name for name in needed if not _is_text(said.get(name))]:
        raise InvalidMailbox(f"The JSON key lacks {' and '.join(missing)}.")
    token_uri = said.get("token_uri", GOOGLE_TOKENS)
    if not _is_text(token_uri) or not _is_protected(token_uri):
        raise InvalidMailbox("The JSON key's token_uri must start with https://.")
    return {**said, "token_uri": token_uri}


def _split(url: str) -> tuple[SplitResult, int, dict[str, str]]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except KeyError:
        raise InvalidMailbox("It must begin with imaps://.") from None
    except ValueError:
        raise InvalidMailbox(
            "The URL cannot be read. In a password, write : / ? # @ % as %3A and so on."
        ) from None
    query = dict(pairs)
    if unknown := sorted(query.keys() - _QUERY):
        raise InvalidMailbox(f"The URL has unknown options: {', '.join(unknown)}.")
    if not parts.hostname or parts.fragment or not url.isprintable() or len(query) != len(pairs):
        raise InvalidMailbox("The URL must name a host and a user, and each option once.")
    return parts, port, query


def _is_by_token(auth: str, option: str | None) -> bool:
    """Tell whether a token opens the mailbox, as the setting or the URL says."""
    said = {auth or PASSWORD if option is None else {"xoauth2": OAUTH2}.get(option, option)}
    if auth:
        said.add(auth)
    if len(said) > 1 or not said <= {PASSWORD, OAUTH2}:
        raise InvalidMailbox("BELONG_INBOUND_AUTH and the URL's auth must be password or oauth2.")
    return said == {OAUTH2}


def _is_protected(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    is_own = parts.scheme == "http" and is_loopback(host)
    return _is_plain(url) and " " not in url and bool(host) and (parts.scheme == "https" or is_own)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_plain(text: str) -> bool:
    return text.isascii() and (not text or text.isprintable())
