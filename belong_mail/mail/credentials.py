"""Read what gets an access token of OAuth 2.0: a JSON key, a bare token, or a file with either."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from belong_mail.mail.hosts import is_loopback

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name of a kind
GOOGLE_TOKENS: Final = "https://oauth2.googleapis.com/token"
# The fields that each kind of credentials needs.
_NEEDED: Final = {
    "authorized_user": ("client_id", "refresh_token"),
    "client_credentials": ("client_id", "client_secret", "token_uri", "scope"),
}


class InvalidCredentials(ValueError):
    """The credentials cannot be used. Says what is wrong, never a value."""


@dataclass(frozen=True, slots=True)
class Credentials:
    # Their name in sentences.
    setting: str
    text: str = field(default="", repr=False)
    # Read each time, for what keeps it fresh may be another program.
    file: Path | None = None

    def read(self) -> Mapping[str, Any]:
        """Return what gets a token; raises InvalidCredentials, OSError or UnicodeDecodeError."""
        text = self.text if self.file is None else self.file.read_text().strip()
        return parse_credentials(text, self.setting)


def credentials_for(
    options: Mapping[str, str],
    given: str,
    setting: str,
    root: Path,
    refused: type[ValueError],
    *,
    is_needed: bool = False,
) -> Credentials | None:
    """Return what gets tokens, by a URL's options auth and token_file; None: a password is wanted.

    A file's path starts at the root. Raises `refused`, without a value.
    """
    auth, file = options.get("auth", "password"), options.get("token_file")
    if auth not in ("password", "xoauth2"):
        raise refused("auth must be password or xoauth2.")
    if auth == "password":
        if file is not None:
            raise refused("A token_file needs auth=xoauth2.")
        return None
    if file:
        return Credentials(setting, file=root / file)
    try:
        if given or is_needed:
            parse_credentials(given, setting)
    except InvalidCredentials as error:
        raise refused(str(error)) from None
    return Credentials(setting, given)


def parse_credentials(text: str, setting: str) -> Mapping[str, Any]:
    """Read a JSON key of OAuth 2.0, or a bare access token (under `access_token`)."""
    if not text:
        raise InvalidCredentials(f"It needs {setting}: a JSON key, or a token.")
    if not text.startswith("{"):
        if not is_plain(text) or " " in text:
            raise InvalidCredentials(f"{setting} is neither JSON nor a token.")
        return {"type": ACCESS_TOKEN, ACCESS_TOKEN: text}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidCredentials(f"{setting} is not JSON.") from None
    needed = _NEEDED.get(str(said.get("type")))
    if needed is None:
        kinds = "authorized_user or client_credentials"
        raise InvalidCredentials(f"The type of the JSON key must be {kinds}.")
    if missing := [name for name in needed if not _is_text(said.get(name))]:
        raise InvalidCredentials(f"The JSON key lacks {' and '.join(missing)}.")
    token_uri = said.get("token_uri", GOOGLE_TOKENS)
    if not _is_text(token_uri) or not _is_protected(token_uri):
        raise InvalidCredentials("The JSON key's token_uri must start with https://.")
    return {**said, "token_uri": token_uri}


def is_plain(text: str) -> bool:
    """Tell whether text is ASCII without control characters, or empty."""
    return text.isascii() and (not text or text.isprintable())


def _is_protected(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    is_own = parts.scheme == "http" and is_loopback(host)
    return is_plain(url) and " " not in url and bool(host) and (parts.scheme == "https" or is_own)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
