"""Compress with gzip only pages without a secret beside words that a stranger chose (BREACH)."""

import gzip
from functools import lru_cache

from flask import Flask, Response, request

from belong_mail.web.access import Access, has_access

# Bytes; a smaller response gains nothing.
MIN_OCTETS = 512
LEVEL = 6
# Arguments of a URL that leave a page the same for everyone.
SAME_PAGE_VALUES = {"slug"}
SAME_PAGE_ARGUMENTS = {"lang"}


COMPRESSIBLE_TYPES = {
    "image/svg+xml",
    "text/calendar",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
}


def init_compression(app: Flask) -> None:
    """Compress files, and responses of public pages that are the same for everyone.

    A page is not compressed if it could hold a secret (the request has a cookie, or its URL more
    than a group's slug) or reflect something (a query, a sent form, an error).
    """

    @app.after_request
    def compress_response(response: Response) -> Response:
        is_file = request.endpoint == "static"
        if not (is_file or (has_access(Access.PUBLIC) and _is_for_everybody())):
            return response
        if response.status_code != 200 or response.mimetype not in COMPRESSIBLE_TYPES:  # noqa: PLR2004
            return response
        response.vary.add("Accept-Encoding")
        if request.accept_encodings.quality("gzip") <= 0:
            return response
        response.direct_passthrough = False
        plain = response.get_data()
        if len(plain) >= MIN_OCTETS:
            response.set_data(_packed_file(plain) if is_file else _packed(plain))
            response.headers["Content-Encoding"] = "gzip"
            response.headers.remove("Accept-Ranges")
            etag, _is_weak = response.get_etag()
            if etag:
                response.set_etag(etag, weak=True)
        return response


def _packed(plain: bytes) -> bytes:
    return gzip.compress(plain, LEVEL, mtime=0)


# Each process compresses a file once; there are about a dozen.
_packed_file = lru_cache(maxsize=32)(_packed)


def _is_for_everybody() -> bool:
    return (
        request.method in {"GET", "HEAD"}
        and not request.cookies
        and (request.view_args or {}).keys() <= SAME_PAGE_VALUES
        and request.args.keys() <= SAME_PAGE_ARGUMENTS
    )
