"""Signed absolute links for mail, from BASE_URL and the app's own URL map."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from werkzeug.routing import Map

from belong_mail.tokens import Purpose, Tokens

HOLE = "the-token"


class Links:
    """Builds links without a request, so that no Host header can bend them."""

    def __init__(self, url_map: Map, base_url: str, tokens: Tokens) -> None:
        parts = urlsplit(base_url)
        self._adapter = url_map.bind(
            parts.netloc, script_name=parts.path or "/", url_scheme=parts.scheme
        )
        self._tokens = tokens

    def page(self, endpoint: str, language: str, **values: str) -> str:
        """Link to a page that anyone may open, in the reader's language."""
        return self._adapter.build(endpoint, {**values, "lang": language}, force_external=True)

    def plain(self, endpoint: str, **values: int | str) -> str:
        """Link to a page in the language of whoever opens it: for paper."""
        return self._adapter.build(endpoint, values, force_external=True)

    def signed(
        self,
        endpoint: str,
        purpose: Purpose,
        public_id: str,
        at: datetime,
        language: str | None = None,
    ) -> str:
        """Link to a page that acts on POST; without a language where only machines go."""
        return self.signer(purpose, at)(public_id).join(self.frame(endpoint, language))

    def frame(self, endpoint: str, language: str | None = None) -> tuple[str, str]:
        """Return what stands before and behind the token of such a link."""
        values = {"token": HOLE, "lang": language}
        link = self._adapter.build(endpoint, values, force_external=True)
        before, _, after = link.partition(HOLE)
        return before, after

    def signer(self, purpose: Purpose, at: datetime) -> Callable[[str], str]:
        """Return what makes the tokens of such links out of public ids."""
        return self._tokens.signer(purpose, at)
