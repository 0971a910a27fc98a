"""Get access tokens of OAuth 2.0: from a refresh token, or as an app."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode

from belong_mail.mail.credentials import ACCESS_TOKEN, Credentials
from belong_mail.mail.http_call import call

# Seconds in which the endpoint must have answered, and octets of its answer.
CALL_SECONDS: Final = 20.0
MAX_ANSWER: Final = 64 * 1024
# Seconds for which a token without a lifetime is kept, and before its end at which it is renewed.
DEFAULT_LIFE, MARGIN = 300.0, 60.0
MAX_LIFE: Final = 3600


class TokenUnavailable(OSError):
    """No token can be had; says nothing of what the endpoint said."""


@dataclass
class TokenSource:
    """Keeps a token until shortly before it ends; any thread may ask."""

    credentials: Credentials
    _token: str = field(default="", repr=False)
    _until: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def token(self) -> str:
        """Return a token that is still good for a while; raises TokenUnavailable."""
        with self._lock:
            if not self._token or time.monotonic() >= self._until:
                self._token, self._until = self._new()
            return self._token

    def kept(self) -> bool:
        """Tell whether the next token is one that was given before."""
        with self._lock:
            return bool(self._token) and time.monotonic() < self._until

    def forget(self) -> None:
        """Ask for a new token next time: the server did not take this one."""
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
    """Write what AUTHENTICATE XOAUTH2 and AUTH XOAUTH2 send first."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01"


def _request(credentials: Mapping[str, Any]) -> dict[str, str]:
    asked = {"grant_type": "client_credentials"}
    if credentials["type"] == "authorized_user":
        asked = {"grant_type": "refresh_token", "refresh_token": credentials["refresh_token"]}
    names = ("client_id", "client_secret", "scope")
    return asked | {name: str(credentials[name]) for name in names if credentials.get(name)}


def _post(url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    """Post a form to one address, follow nowhere else, and return the JSON of a good answer."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    status, content = call(
        "POST", url, headers, urlencode(form), seconds=CALL_SECONDS, most=MAX_ANSWER
    )
    if status != http.HTTPStatus.OK or len(content) > MAX_ANSWER:
        raise ValueError
    said: Mapping[str, Any] = json.loads(content)
    return said
