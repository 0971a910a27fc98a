"""An OpenID Connect client (authorization code flow with PKCE) of the district's provider.

No other module lets the web call anything but its database; it is imported only if a provider is
configured. It requests the scope `openid` alone, and uses no claim of name or address.
"""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import compare_digest
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from belong_mail.mail.http_call import call

# Seconds after which a call is aborted, however slowly the response arrives.
CALL_SECONDS = 5.0
# Calls at a time, fewer than the process's threads, so that a slow provider leaves one for other
# pages; and seconds that a further call waits for its turn.
CALLS_AT_ONCE, ENTRY_SECONDS = 1, 1.0
# Largest response in bytes.
MAX_ANSWER = 128 * 1024
MAX_KEYS = 32
# Seconds for which metadata and keys are cached; seconds between requests for an unknown key.
METADATA_SECONDS, KEYS_GAP_SECONDS = 3600.0, 60.0
# Asymmetric signatures only: others could be made with a public key or the client secret.
ALGORITHMS = ["RS256", "PS256", "ES256"]
# Seconds by which clocks may differ, and the oldest token accepted.
CLOCK_SKEW_SECONDS, MAX_TOKEN_AGE_SECONDS = 60, 600
MAX_SUBJECT = 255
# A year: the provider need not ask again, but says when it did (`auth_time`, OIDC Core 3.1.2.1).
ANY_AGE_SECONDS = "31536000"
WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
HTTP_OK = 200


class ProviderUnavailable(Exception):
    """The provider does not answer, or breaks the protocol."""


class ProofRefused(Exception):
    """The provider's response does not prove an identity."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """The random values that bind a response to its request and browser."""

    state: str
    nonce: str
    verifier: str


class Prompt(StrEnum):
    """A question that the provider asks even if it knows the browser (OIDC Core 3.1.2.1)."""

    SELECT_ACCOUNT = "select_account"
    LOGIN = "login"


@dataclass
class IdentityProvider:
    """The provider, as we are registered there."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    # A claim with the value that each token must have, or None.
    required_claim: tuple[str, str] | None
    call_seconds: float = CALL_SECONDS
    _metadata: Mapping[str, Any] = field(default_factory=dict)
    _metadata_until: float = 0.0
    _keys: tuple[RSAKey | ECKey, ...] = ()
    _keys_at: float = -KEYS_GAP_SECONDS
    _lock: Lock = field(default_factory=Lock)
    _room: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(CALLS_AT_ONCE))

    def authorization_url(self, pending: AuthorizationRequest, prompt: Prompt | None = None) -> str:
        """Return the URL at the provider to which a browser is sent.

        `prompt` lets people choose an account there, or makes them sign in again.
        """
        claim = dict([self.required_claim] if self.required_claim else [])
        url: str = prepare_grant_uri(
            self._about()["authorization_endpoint"],
            client_id=self.client_id,
            response_type="code",
            redirect_uri=self.redirect_uri,
            scope="openid",
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
            prompt=prompt,
            max_age="0" if prompt is Prompt.LOGIN else ANY_AGE_SECONDS,
            # Makes Google offer only accounts of this domain.
            hd=claim.get("hd"),
        )
        return url

    def subject_of(
        self, code: str, pending: AuthorizationRequest, since: int = 0
    ) -> tuple[str, bool | None]:
        """Exchange a code for an ID token; return its subject, and whether it is of a new sign-in.

        True if `auth_time` is not before `since`, a Unix time; None without `auth_time`. Raises
        ProviderUnavailable, and ProofRefused for anything that does not verify.
        """
        about = self._about()
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=self.redirect_uri,
            code=code,
            code_verifier=pending.verifier,
        )
        # Preferred, as providers differ in decoding a secret in the header (RFC 6749 2.3.1).
        known = about.get("token_endpoint_auth_methods_supported", ())
        method = "client_secret_post" if "client_secret_post" in known else "client_secret_basic"
        auth = ClientAuth(self.client_id, self.client_secret, method)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        _, headers, body = auth.prepare("POST", about["token_endpoint"], headers, body)
        status, answer = self._call("POST", about["token_endpoint"], headers, body)
        if status >= http.client.INTERNAL_SERVER_ERROR:
            raise ProviderUnavailable
        token = answer.get("id_token") if status == HTTP_OK else None
        if not isinstance(token, str):
            raise ProofRefused
        return self._checked(token, pending.nonce, since)

    def _checked(self, token: str, nonce: str, since: int) -> tuple[str, bool | None]:
        """Verify an ID token (OIDC Core 3.1.3.7), or raise ProofRefused; return as `subject_of`."""
        try:
            decoded = jwt.decode(token, self._key_for, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {"iss": {"essential": True, "value": self.issuer}},
                {"nonce": nonce, "client_id": self.client_id},
            )
            claims.validate(leeway=CLOCK_SKEW_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ProofRefused from error
        subject = claims["sub"]
        if claims["aud"] not in (self.client_id, [self.client_id]):
            raise ProofRefused  # It was issued for another client, too.
        if claims["iat"] < time.time() - MAX_TOKEN_AGE_SECONDS - CLOCK_SKEW_SECONDS:
            raise ProofRefused
        if self.required_claim and claims.get(self.required_claim[0]) != self.required_claim[1]:
            raise ProofRefused
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
            raise ProofRefused
        said = claims.get("auth_time")
        return subject, None if said is None else _is_time_since(said, since)

    def _key_for(self, token: Any) -> RSAKey | ECKey:
        """Return the key that a token names; fetch the keys again if it is unknown."""
        kid = token.headers().get("kid")
        if time.monotonic() > self._keys_at + METADATA_SECONDS:
            self._fetch_keys()  # So that a revoked key is not accepted for long.
        for may_ask in (True, False):
            found = [key for key in self._keys if kid in (None, key.kid)]
            if len(found) == 1:
                return found[0]
            if may_ask:
                self._fetch_keys()
        raise ProofRefused

    def _fetch_keys(self) -> None:
        """Fetch the provider's keys, at most once in KEYS_GAP_SECONDS."""
        with self._lock:
            if time.monotonic() < self._keys_at + KEYS_GAP_SECONDS:
                return
            self._keys_at = time.monotonic()
        try:
            status, answer = self._call("GET", self._about()["jwks_uri"])
            listed = answer["keys"][:MAX_KEYS]
            usable = [
                each
                for each in listed
                if each.get("kty") in ("RSA", "EC") and each.get("use", "sig") == "sig"
            ]
            keys = KeySet.import_key_set({"keys": usable}).keys
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProviderUnavailable from error
        if status != HTTP_OK:
            raise ProviderUnavailable
        self._keys = tuple(key for key in keys if isinstance(key, RSAKey | ECKey))

    def _about(self) -> Mapping[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery)."""
        if time.monotonic() < self._metadata_until:
            return self._metadata
        status, about = self._call("GET", self.issuer.rstrip("/") + WELL_KNOWN)
        is_whole = status == HTTP_OK and about.get("issuer") == self.issuer
        if not is_whole or not all(
            _is_ours_to_call(self.issuer, about.get(name)) for name in ENDPOINTS
        ):
            raise ProviderUnavailable
        self._metadata, self._metadata_until = about, time.monotonic() + METADATA_SECONDS
        return about

    def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> tuple[int, Mapping[str, Any]]:
        """Call a URL without following redirects; return status and JSON body."""
        if not self._room.acquire(timeout=ENTRY_SECONDS):
            raise ProviderUnavailable
        try:
            given = {"Accept": "application/json", **(headers or {})}
            status, content = call(
                method, url, given, body, seconds=self.call_seconds, most=MAX_ANSWER
            )
            said = json.loads(content)
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise ProviderUnavailable from error
        finally:
            self._room.release()
        if len(content) > MAX_ANSWER or not isinstance(said, dict):
            raise ProviderUnavailable
        return status, said


def _is_time_since(said: object, since: int) -> bool:
    """Return whether `auth_time` is not before a time, by the provider's clock."""
    if isinstance(said, bool) or not isinstance(said, int):
        return False
    return since - CLOCK_SKEW_SECONDS <= said <= time.time() + CLOCK_SKEW_SECONDS


def is_same(given: str | None, expected: str) -> bool:
    """Compare a returned value with the one that was sent, in constant time."""
    return compare_digest((given or "").encode(), expected.encode())


def _is_ours_to_call(issuer: str, url: object) -> bool:
    """Return whether an endpoint's URL is well formed, and https if its issuer's is."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = parts.username is None and not parts.fragment and url.isascii() and url.isprintable()
    return is_whole and is_plain and parts.scheme in ("https", urlsplit(issuer).scheme)
