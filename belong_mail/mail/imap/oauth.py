"""Get access tokens of OAuth 2.0: from a refresh token, or as a service account (RFC 7523)."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlencode

from belong_mail.mail.http_call import call
from belong_mail.mail.imap.location import InvalidMailbox, MailboxLocation
from belong_mail.mail.imap.mailbox import MailboxUnavailable

# Seconds in which the endpoint must have answered, and octets of its answer.
CALL_SECONDS: Final = 20.0
MAX_ANSWER: Final = 64 * 1024
# Seconds for which a token without a lifetime is kept, and before its end at which it is renewed.
DEFAULT_LIFE, MARGIN = 300.0, 60.0
MAX_LIFE: Final = 3600
# What lets one read and move mail by IMAP at Google.
GOOGLE_SCOPE: Final = "https://mail.google.com/"
_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class TokenSource:
    """Keeps a token until shortly before it ends."""

    location: MailboxLocation
    _token: str = ""
    _until: float = 0.0

    def token(self) -> str:
        """Return a token that is still good for a while; raises MailboxUnavailable."""
        if self._token and time.monotonic() < self._until:
            return self._token
        try:
            credentials = self.location.read_credentials()
            if credentials["type"] == "access_token":
                return str(credentials["access_token"])
            answer = _post(credentials["token_uri"], _request(credentials, self.location.user))
            token, life = str(answer["access_token"]), float(answer.get("expires_in", DEFAULT_LIFE))
            token.encode("ascii")
        except (
            InvalidMailbox, OSError, ValueError, TypeError, LookupError, RecursionError,
            http.client.HTTPException,
        ) as error:  # fmt: skip
            raise MailboxUnavailable("TOKEN") from error
        self._token, self._until = token, time.monotonic() + min(life, MAX_LIFE) - MARGIN
        return token

    def forget(self) -> None:
        """Ask for a new token next time: the mailbox did not take this one."""
        self._token = ""


def _request(credentials: Mapping[str, Any], user: str) -> dict[str, str]:
    if credentials["type"] == "service_account":
        return {"grant_type": _BEARER, "assertion": _assertion(credentials, user)}
    asked = {"grant_type": "refresh_token", "refresh_token": credentials["refresh_token"]}
    names = ("client_id", "client_secret", "scope")
    return asked | {name: str(credentials[name]) for name in names if credentials.get(name)}


def _assertion(credentials: Mapping[str, Any], user: str) -> str:
    """Sign that the service account acts for the mailbox's user (RFC 7523, section 3)."""
    # Loaded by those who need it: most mailboxes have a password.
    jwt, jwk = import_module("joserfc.jwt"), import_module("joserfc.jwk")
    at = int(time.time())
    claims = {
        "iss": credentials["client_email"],
        "sub": user,
        "scope": credentials.get("scope") or GOOGLE_SCOPE,
        "aud": credentials["token_uri"],
        "iat": at,
        "exp": at + MAX_LIFE,
    }
    header = {"alg": "RS256", "typ": "JWT"}
    if credentials.get("private_key_id"):
        header["kid"] = str(credentials["private_key_id"])
    key = jwk.RSAKey.import_key(credentials["private_key"])
    signed: str = jwt.encode(header, claims, key, algorithms=["RS256"])
    return signed


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
