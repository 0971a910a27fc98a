"""gzip of what holds no secret beside words that a stranger chose (BREACH): public pages, files."""

import gzip

from flask import Flask, Response, request

LEAST = 512
"""Octets; what is smaller gains nothing."""
LEVEL = 6
PLAIN = {"slug"}
"""What a URL may name and still stand for the same page for everybody."""
KNOWN = {"lang"}
WORDS = {"image/svg+xml", "text/calendar", "text/css", "text/html", "text/javascript", "text/plain"}


def compress(app: Flask, public: frozenset[str]) -> None:
    """Compress files, and those answers of public pages that are the same for everybody.

    A page goes out as it is when it could hold a secret (a cookie came with the request, or its
    URL has more than a group's slug) or reflect anything (a query, a form that was sent, an error).
    """

    @app.after_request
    def squeeze(response: Response) -> Response:
        is_file = request.endpoint == "static"
        if not (is_file or (request.endpoint in public and _is_for_everybody())):
            return response
        if response.status_code != 200 or response.mimetype not in WORDS:  # noqa: PLR2004
            return response
        response.vary.add("Accept-Encoding")
        if request.accept_encodings.quality("gzip") <= 0:
            return response
        response.direct_passthrough = False
        plain = response.get_data()
        if len(plain) >= LEAST:
            response.set_data(gzip.compress(plain, LEVEL, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
            response.headers.remove("Accept-Ranges")
            etag, _is_weak = response.get_etag()
            if etag:
                response.set_etag(etag, weak=True)
        return response


def _is_for_everybody() -> bool:
    return (
        request.method in {"GET", "HEAD"}
        and not request.cookies
        and (request.view_args or {}).keys() <= PLAIN
        and request.args.keys() <= KNOWN
    )
