"""Build absolute, signed links for email and paper, from the base URL and the pages' paths."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

from belong_mail.core.tokens import MAX_TOKEN_CHARACTERS, BadToken, Purpose, Tokens

# The paths of pages, as the worker loads no views; a test compares them with the app's routes.
PATHS = {
    "approvals.approve": "/lead/newsletters/<public_id>/approve",
    "contact.write": "/contact",
    "directory.index": "/",
    "waiting_list.forget": "/forget-note/<token>",
    "lead.home": "/lead/",
    "self_service.email_again": "/email-me-again/<token>",
    "self_service.manage": "/my-groups/<secret>",
    "address_change.confirm": "/change-address/<token>",
    "onboarding.index": "/new-colleagues",
    "onboarding.short": "/g/<number>",
    "office_groups.listed": "/office/groups",
    "office.thread": "/office/threads/<reference>",
    "office.settings": "/office/settings",
    "own_calendar.feed": "/my-calendar/<token>",
    "releases.sending": "/lead/newsletters/<public_id>/sending",
    "shared_mailbox.confirm": "/confirm-mailbox/<token>",
    "sign_in.accept": "/invitation/<token>",
    "sign_in.confirm": "/sign-in/<token>",
    "subscriptions.confirm": "/confirm/<token>",
    "subscriptions.join": "/groups/<slug>/join",
    "subscriptions.manage": "/leave/<token>",
    "subscriptions.not_me": "/not-me/<token>",
    "subscriptions.one_click": "/one-click/<token>",
}


HOLE = "the-token"
_GAP = re.compile(r"<(\w+)>")
_IN_PATH = "!$&'()*+,/:;=@"
# Characters left unescaped by the URL standard in a query.
_IN_QUERY = "!$'()*,/:;?@"


class Links:
    """Builds links without a request, so that no Host header can affect them."""

    def __init__(self, base_url: str, tokens: Tokens) -> None:
        parts = urlsplit(base_url)
        host = parts.netloc.lower()
        ascii_host = host if host.isascii() else host.encode("idna").decode()
        # The beginning of all links.
        self.root = f"{parts.scheme}://{ascii_host}{parts.path.rstrip('/')}"
        self._tokens = tokens

    def page(self, endpoint: str, language: str, **values: str) -> str:
        """Link to a public page in the reader's language."""
        return self._to(endpoint, {**values, "lang": language})

    def plain(self, endpoint: str, **values: int | str) -> str:
        """Link to a page without a language, for print."""
        return self._to(endpoint, values)

    def signed(
        self,
        endpoint: str,
        purpose: Purpose,
        public_id: str,
        at: datetime,
        language: str | None = None,
    ) -> str:
        """Link to a page that acts on POST; without a language if only programs follow it."""
        return self.signer(purpose, at)(public_id).join(self.frame(endpoint, language))

    def frame(self, endpoint: str, language: str | None = None) -> tuple[str, str]:
        """Return the parts of a signed link before and after its token."""
        before, _, after = self._to(endpoint, {"token": HOLE, "lang": language}).partition(HOLE)
        return before, after

    def signer(self, purpose: Purpose, at: datetime) -> Callable[[str], str]:
        """Return a signer of public ids for signed links."""
        return self._tokens.signer(purpose, at)

    def named_in(self, text: str, endpoint: str, purpose: Purpose) -> Iterator[str]:
        """Yield the public ids of the signed links to a page in a text."""
        before = PATHS[endpoint].partition("<")[0]
        for token in re.findall(rf"{before}([\w.-]{{1,{MAX_TOKEN_CHARACTERS}}})", text):
            with suppress(BadToken):
                yield self._tokens.read(purpose, token)

    def _to(self, endpoint: str, values: Mapping[str, int | str | None]) -> str:
        """Fill a path's placeholders in; the other values become the query."""
        rest = {name: value for name, value in values.items() if value is not None}
        path = _GAP.sub(lambda gap: quote(str(rest.pop(gap[1])), _IN_PATH), PATHS[endpoint])
        query = f"?{urlencode(rest, safe=_IN_QUERY)}" if rest else ""
        return f"{self.root}{path}{query}"
