"""A token endpoint of OAuth 2.0 that checks what it is given, and tells Dovecot whose each is."""

import json
import secrets
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.servers.pages import answer, form_of, serving

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "belong", "client's secret", "1//refresh"
SCOPE = "https://mail.google.com/"


class TokenEndpoint:
    """Gives tokens for one user; each works until it is revoked."""

    def __init__(self, user: str = "") -> None:
        self.user, self.life = user, 3600
        self.tokens: dict[str, str] = {}
        self.asked: list[str] = []
        # Whether it has forgotten all keys.
        self.is_revoked = False
        # An answer instead of a token: status and body.
        self.trouble: tuple[int, bytes] | None = None
        self._serving = serving(type("OurHandler", (Handler,), {"endpoint": self}))

    def __enter__(self) -> Self:
        self.url = f"http://127.0.0.1:{self._serving.__enter__()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)

    def refreshing(self, **other: Any) -> str:
        """Return the JSON key of an authorized user."""
        key = {
            "type": "authorized_user",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH_TOKEN,
            "token_uri": f"{self.url}/token",
        }
        return json.dumps(key | other)

    def application(self) -> str:
        """Return the JSON key of an app that acts by itself (RFC 6749, 4.4)."""
        return self.refreshing(type="client_credentials", scope=SCOPE)

    def grant(self, given: dict[str, str]) -> str | None:
        """Return whose token may be given; None: nobody's."""
        self.asked.append(given.get("grant_type", ""))
        if self.is_revoked:
            return None
        if given.get("grant_type") == "refresh_token":
            names = ("client_id", "client_secret", "refresh_token")
            shown = tuple(given.get(name) for name in names)
            return self.user if shown == (CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN) else None
        if given.get("grant_type") == "client_credentials":
            shown = tuple(given.get(name) for name in ("client_id", "client_secret", "scope"))
            return self.user if shown == (CLIENT_ID, CLIENT_SECRET, SCOPE) else None
        return None


class Handler(BaseHTTPRequestHandler):
    endpoint: TokenEndpoint

    def do_POST(self) -> None:
        given = form_of(self)
        if self.path == "/introspect":
            user = self.endpoint.tokens.get(given.get("token", ""))
            answer(self, 200, {"active": user is not None, "email": user or "", "scope": SCOPE})
        elif self.endpoint.trouble is not None:
            answer(self, *self.endpoint.trouble)
        elif (user := self.endpoint.grant(given)) is None:
            answer(self, 400, {"error": "invalid_grant"})
        else:
            token = secrets.token_urlsafe(900)  # as long as Google's may be
            self.endpoint.tokens[token] = user
            life = self.endpoint.life
            said = {"access_token": token, "token_type": "Bearer", "expires_in": life}
            answer(self, 200, said)
