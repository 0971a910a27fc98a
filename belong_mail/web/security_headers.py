"""Set security headers, and refuse requests from other sites."""

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.exceptions import Forbidden, SecurityError

from belong_mail.core.services import Settings
from belong_mail.web.access import Access, has_access
from belong_mail.web.context import SAFE

CONTENT_POLICY = "; ".join((  # noqa: FLY002 - one a line
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    # The editor scales photos down in the browser, through data and blob URLs.
    "img-src 'self' data: blob:",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
))  # fmt: skip


# With `no-referrer`, browsers without Sec-Fetch-Site (Safari before 16.4) send the Origin "null"
# for our own forms; with `same-origin` they do not, and still tell other sites nothing.
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


# Host names of this machine; in production only for monitoring.
LOOPBACK = ("localhost", "127.0.0.1")
FOR_MACHINES = frozenset(("directory.healthz", "operating.readyz"))


class OriginHidden(Forbidden):
    """A form without Sec-Fetch-Site has the Origin "null": it may be ours or any other site's."""


def init_security_headers(app: Flask, settings: Settings) -> None:
    """Set the headers on every response; refuse foreign hosts, and forms of other sites.

    Views marked `from_anywhere` accept such forms, as their URL alone is the authority.
    """
    own = urlsplit(settings.base_url)
    _refuse_other_hosts(app, () if settings.is_development else {*LOOPBACK} - {own.hostname})
    _refuse_other_sites(app, f"{own.scheme}://{own.netloc}")

    @app.after_request
    def set_headers(response: Response) -> Response:
        given = set(response.headers.keys())
        for name, value in HEADERS.items():
            if name not in given:
                response.headers.add(name, value)
        if {"token", "secret"} & (request.view_args or {}).keys():
            response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response


def _refuse_other_hosts(app: Flask, only_for_machines: Collection[str]) -> None:
    @app.before_request
    def refuse_other_hosts() -> Response | None:
        """Answer with plain text: a page's links cannot be built for a foreign Host."""
        is_ours = not isinstance(request.routing_exception, SecurityError)
        if is_ours and request.endpoint not in FOR_MACHINES:
            is_ours = urlsplit(f"//{request.host}").hostname not in only_for_machines
        if is_ours:
            return None
        request.routing_exception = SecurityError()
        return Response("Bad Request\n", 400, mimetype="text/plain")


def _refuse_other_sites(app: Flask, origin: str) -> None:
    @app.before_request
    def refuse_other_sites() -> None:
        if request.method in SAFE or request.url_rule is None or has_access(Access.FROM_ANYWHERE):
            return
        site = request.headers.get("Sec-Fetch-Site")
        given = request.headers.get("Origin", origin)
        if site not in {None, "none", "same-origin"} or given not in {origin, "null"}:
            abort(403)
        if site is None and given == "null":
            raise OriginHidden
