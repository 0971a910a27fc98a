"""Security headers and the refusal of foreign requests, in one place."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.exceptions import Forbidden, SecurityError

from belong_mail.web.access import Access, has_access
from belong_mail.web.context import SAFE

CONTENT_POLICY = "; ".join((  # noqa: FLY002 - one a line
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    "img-src 'self' data:",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
))  # fmt: skip


HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


# In the query of a page that an older browser opens again: the page allows a Referer to our own
# site, and with it the browser names its origin in place of "null".
RETRIED_ARGUMENT = "again"


class OriginHidden(Forbidden):
    """A form came without Sec-Fetch-Site, from the origin "null": ours, or any other site's.

    Under `no-referrer` older browsers (Safari before 16.4) hide the origin of our own forms too.
    """


def init_security_headers(app: Flask, base_url: str) -> None:
    """Set every header on every response, and refuse what another site's page sends us.

    Any site may post to views that say so: their URL alone is the authority.
    """
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url))

    _refuse_foreign_requests(app, origin)

    @app.url_defaults
    def keep_naming_the_origin(endpoint: str, values: dict[str, object]) -> None:
        if request and RETRIED_ARGUMENT in request.args and endpoint != "static":
            values.setdefault(RETRIED_ARGUMENT, "1")

    @app.after_request
    def set_headers(response: Response) -> Response:
        if RETRIED_ARGUMENT in request.args:
            response.headers["Referrer-Policy"] = "same-origin"
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if {"token", "secret"} & (request.view_args or {}).keys():
            response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response


def _refuse_foreign_requests(app: Flask, origin: str) -> None:
    @app.before_request
    def refuse_other_hosts() -> Response | None:
        """Answer without a page: its links could not be built for a Host that is not ours."""
        if isinstance(request.routing_exception, SecurityError):
            return Response("Bad Request\n", 400, mimetype="text/plain")
        return None

    @app.before_request
    def refuse_other_sites() -> None:
        if request.method in SAFE or has_access(Access.FROM_ANYWHERE):
            return
        site = request.headers.get("Sec-Fetch-Site")
        given = request.headers.get("Origin", origin)
        if site not in {None, "none", "same-origin"} or given not in {origin, "null"}:
            abort(403)
        if site is None and given == "null":
            raise OriginHidden
