"""A small identity provider that speaks OpenID Connect.

It signs for real, and checks what a client must do right: the exact address to go back to, PKCE,
its secret, a code used once. A test says who signs in, and how it is to lie: `Provider.set`.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import RSAKey

from tests.servers.pages import answer, form_of, serving

CLIENT_ID, CLIENT_SECRET = "belong", "the-client's-secret-%of-36-characters"
# Values that `set` changes, as they begin.
DEFAULTS: dict[str, Any] = {
    "subject": "person-1",
    # Beside those that a token has, or in their place; None: without it.
    "claims": {},
    # Claims that are moments, in seconds from when the token is made.
    "moments": {},
    # Fields of discovery.
    "metadata": {},
    "alg": "RS256",
    # Signed as it is, in place of an honest token's claims.
    "payload": "",
    # The algorithm that a token's header names; empty: the key that signed.
    "kid": "",
    # Signs with a key that it does not list.
    "is_stranger": False,
    # Signs with the key before the last rotation, as somebody does who has stolen it.
    "is_stolen": False,
    # Takes a code twice.
    "is_forgetful": False,
    # Delays of each answer, by path.
    "status": {},
    "location": "",
    # Seconds between two octets of an answer.
    "drip": 0.0,
    # Says nothing until it is no more so.
    "is_silent": False,
    # Values that a browser brings back beside the code.
    "extra": {},
}


class Provider:
    def __init__(self) -> None:
        self.issuer = ""
        self.redirect_uri = ""
        self.said = dict(DEFAULTS)
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.key = self._new_key()
        self.former = self.key

    def set(self, *, redirect_uri: str = "", rotate: bool = False, **said: Any) -> list[str]:
        """Say how it behaves from now on; return the paths that it was asked for so far."""
        self.redirect_uri = redirect_uri or self.redirect_uri
        if rotate:
            self.rotate()
        assert said.keys() <= DEFAULTS.keys()
        self.said |= said
        return [*self.asked]

    def reset(self) -> None:
        self.set(**DEFAULTS)

    def settings(self) -> dict[str, str]:
        return {
            "BELONG_OIDC_ISSUER": self.issuer,
            "BELONG_OIDC_CLIENT_ID": CLIENT_ID,
            "BELONG_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        }

    def rotate(self) -> None:
        """Sign with a new key, and list that alone."""
        self.former, self.key = self.key, self._new_key()

    @staticmethod
    def _new_key() -> RSAKey:
        return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def id_token(self, asked: Mapping[str, str]) -> str:
        """Say who it is; and when they signed in, where that was asked for."""
        at = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.said["subject"],
            "aud": CLIENT_ID,
            "iat": at,
            "exp": at + 300,
            "nonce": asked["nonce"],
            **({"auth_time": at} if "max_age" in asked else {}),
            **self.said["claims"],
            **{name: at + seconds for name, seconds in self.said["moments"].items()},
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        ours = self.former if self.said["is_stolen"] else self.key
        header = {"alg": self.said["alg"], "kid": self.said["kid"] or ours.kid}
        if header["alg"] == "none":
            return f"{_part(header)}.{_part(claims)}."
        if header["alg"] == "HS256":
            signed = f"{_part(header)}.{_part(claims)}"
            public = self.key.as_pem(private=False)
            return f"{signed}.{_encoded(hmac.digest(public, signed.encode(), 'sha256'))}"
        key = RSAKey.generate_key(2048) if self.said["is_stranger"] else ours
        if self.said["payload"]:
            return jws.serialize_compact(header, self.said["payload"], key)
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


class Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if self._has_trouble(parts.path):
            return
        if parts.path == "/.well-known/openid-configuration":
            self._say(200, self._metadata())
        elif parts.path == "/keys":
            self._say(200, {"keys": [self.provider.key.as_dict(private=False)]})
        elif parts.path == "/authorize":
            self._authorize(dict(parse_qsl(parts.query)))
        else:
            self._say(404, {})

    def do_POST(self) -> None:
        given = form_of(self)
        if not self._has_trouble(self.path):
            self._token(given)

    def _has_trouble(self, path: str) -> bool:
        """Answer as a test has said that this path answers, if it has."""
        self.provider.asked.append(path)
        while self.provider.said["is_silent"]:
            time.sleep(0.01)
        status = self.provider.said["status"].get(path)
        if status is not None:
            self._say(status, {"error": "server_error"}, self.provider.said["location"])
        return status is not None

    def _metadata(self) -> dict[str, Any]:
        issuer = self.provider.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            **self.provider.said["metadata"],
        }

    def _authorize(self, asked: dict[str, str]) -> None:
        """Sign somebody in without a question; refuse what a provider refuses."""
        is_right = (
            asked.get("client_id") == CLIENT_ID
            and asked.get("redirect_uri") == self.provider.redirect_uri
            and asked.get("response_type") == "code"
            and asked.get("scope") == "openid"
            and asked.get("code_challenge_method") == "S256"
            and bool(asked.get("state") and asked.get("nonce") and asked.get("code_challenge"))
        )
        if not is_right:
            self._say(400, {"error": "invalid_request"})
            return
        code = secrets.token_urlsafe(16)
        self.provider.codes[code] = asked
        back = {"code": code, "state": asked["state"], **self.provider.said["extra"]}
        self._say(302, {}, f"{asked['redirect_uri']}?{urlencode(back)}")

    def _token(self, given: dict[str, str]) -> None:
        codes, said = self.provider.codes, self.provider.said
        find = codes.get if said["is_forgetful"] else codes.pop
        asked = find(given.get("code", ""), None)
        methods = said["metadata"].get("token_endpoint_auth_methods_supported")
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        shown = CLIENT_SECRET if methods else f"Basic {basic}"
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        is_right = (
            asked is not None
            and (shown in (self.headers.get("Authorization"), given.get("client_secret")))
            and given.get("grant_type") == "authorization_code"
            and given.get("redirect_uri") == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )
        if asked is None or not is_right:
            self._say(400, {"error": "invalid_grant"})
            return
        token = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300}
        self._say(200, {**token, "id_token": self.provider.id_token(asked)})

    def _say(self, status: int, said: Mapping[str, Any], location: str = "") -> None:
        answer(self, status, said, location, self.provider.said["drip"])


@contextmanager
def identity_provider() -> Iterator[Provider]:
    provider = Provider()
    with serving(type("OurHandler", (Handler,), {"provider": provider})) as port:
        provider.issuer = f"http://127.0.0.1:{port}"
        yield provider
