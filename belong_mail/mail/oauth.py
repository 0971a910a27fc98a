"""Get OAuth 2.0 access tokens by a refresh token, by client credentials, or from a file."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from belong_mail.mail.hosts import InvalidSetting, is_loopback
from belong_mail.mail.http_call import call

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name of a kind
GOOGLE_TOKENS: Final = "https://oauth2.googleapis.com/token"
# The fields that each kind of credentials needs.
_NEEDED: Final = {
    "authorized_user": ("client_id", "refresh_token"),
    "client_credentials": ("client_id", "client_secret", "token_uri", "scope"),
}
# Seconds in which the endpoint must answer, and bytes of its answer.
CALL_SECONDS: Final = 20.0
MAX_ANSWER: Final = 64 * 1024
# Seconds for which a token of unknown lifetime is kept, and seconds before expiry when it is
# renewed.
DEFAULT_LIFE, MARGIN = 300.0, 60.0
MAX_LIFE: Final = 3600


@dataclass(frozen=True, slots=True)
class Credentials:
    # The setting's name, for error messages.
    setting: str
    text: str = field(default="", repr=False)
    # Read again for each token, because another program may replace it.
    file: Path | None = None

    def read(self) -> Mapping[str, Any]:
        """Parse the credentials. Raises InvalidSetting, OSError or UnicodeDecodeError."""
        text = self.text if self.file is None else self.file.read_text().strip()
        return parse_credentials(text, self.setting)


def credentials_for(
    options: Mapping[str, str],
    given: str,
    setting: str,
    root: Path,
    *,
    is_needed: bool = False,
) -> Credentials | None:
    """Return the OAuth credentials that a URL's options ask for; None if it has a password.

    `token_file` is relative to `root`. Raises InvalidSetting.
    """
    auth, file = options.get("auth", "password"), options.get("token_file")
    if auth not in ("password", "xoauth2"):
        raise InvalidSetting("auth must be password or xoauth2.")
    if auth == "password":
        if file is not None:
            raise InvalidSetting("A token_file needs auth=xoauth2.")
        return None
    if file:
        return Credentials(setting, file=root / file)
    if given or is_needed:
        parse_credentials(given, setting)
    return Credentials(setting, given)


def parse_credentials(text: str, setting: str) -> Mapping[str, Any]:
    """Parse a JSON key of OAuth 2.0 or a bare access token, and return the key's fields."""
    if not text:
        raise InvalidSetting(f"It needs {setting}: a JSON key, or a token.")
    if not text.startswith("{"):
        if not is_plain(text) or " " in text:
            raise InvalidSetting(f"{setting} is neither JSON nor a token.")
        return {"type": ACCESS_TOKEN, ACCESS_TOKEN: text}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidSetting(f"{setting} is not JSON.") from None
    needed = _NEEDED.get(str(said.get("type")))
    if needed is None:
        kinds = "authorized_user or client_credentials"
        raise InvalidSetting(f"The type of the JSON key must be {kinds}.")
    if missing := [name for name in needed if not _is_text(said.get(name))]:
        raise InvalidSetting(f"The JSON key lacks {' and '.join(missing)}.")
    token_uri = said.get("token_uri", GOOGLE_TOKENS)
    if not _is_text(token_uri) or not _is_protected(token_uri):
        raise InvalidSetting("The JSON key's token_uri must start with https://.")
    return {**said, "token_uri": token_uri}


def is_plain(text: str) -> bool:
    """Return whether text is ASCII without control characters, or empty."""
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


class TokenUnavailable(OSError):
    """The server gave no token; the error does not quote it."""


@dataclass
class TokenSource:
    """Caches an access token until shortly before it expires; thread-safe."""

    credentials: Credentials
    _token: str = field(default="", repr=False)
    _until: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def token(self) -> str:
        """Return a token that is valid for at least MARGIN seconds. Raises TokenUnavailable."""
        with self._lock:
            if not self._token or time.monotonic() >= self._until:
                self._token, self._until = self._new()
            return self._token

    def kept(self) -> bool:
        """Return whether `token` would return the cached token."""
        with self._lock:
            return bool(self._token) and time.monotonic() < self._until

    def forget(self) -> None:
        """Discard the cached token, which a server refused."""
        with self._lock:
            self._token = ""

    def _new(self) -> tuple[str, float]:
        try:
            credentials = self.credentials.read()
            if credentials["type"] == ACCESS_TOKEN:
                return str(credentials[ACCESS_TOKEN]), 0.0  # its file may change at any time
            answer = _post(credentials["token_uri"], _request(credentials))
            token, life = str(answer["access_token"]), float(answer.get("expires_in", DEFAULT_LIFE))
            token.encode("ascii")
        except (
            OSError, ValueError, TypeError, LookupError, RecursionError,
            http.client.HTTPException,
        ) as error:  # fmt: skip
            raise TokenUnavailable from error
        return token, time.monotonic() + min(life, MAX_LIFE) - MARGIN


def bearer(user: str, token: str) -> str:
    """Return the initial response of SASL XOAUTH2."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01"


def _request(credentials: Mapping[str, Any]) -> dict[str, str]:
    asked = {"grant_type": "client_credentials"}
    if credentials["type"] == "authorized_user":
        asked = {"grant_type": "refresh_token", "refresh_token": credentials["refresh_token"]}
    names = ("client_id", "client_secret", "scope")
    return asked | {name: str(credentials[name]) for name in names if credentials.get(name)}


def _post(url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    """Post a form without following redirects; return the JSON of a response with status 200."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    status, content = call(
        "POST", url, headers, urlencode(form), seconds=CALL_SECONDS, most=MAX_ANSWER
    )
    if status != http.HTTPStatus.OK or len(content) > MAX_ANSWER:
        raise ValueError
    said: Mapping[str, Any] = json.loads(content)
    return said
