"""Compress responses with gzip, except those that BREACH could attack."""

import gzip
from functools import lru_cache

from flask import Flask, Response, request

from belong_mail.web.access import Access, has_access

# Bytes; a smaller response gains nothing.
MIN_OCTETS = 512
LEVEL = 6
# Arguments that give everyone the same page.
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
    """Compress files, and public pages that are the same for everyone.

    BREACH needs a page with a secret and with input of an attacker. So pages are not compressed if
    they have a cookie, more in their URL than a group's slug, or the text of a query or a form.
    """

    @app.after_request
    def compress_response(response: Response) -> Response:
        is_small = (response.content_length or 0) < MIN_OCTETS
        if is_small or response.status_code != 200 or response.mimetype not in COMPRESSIBLE_TYPES:  # noqa: PLR2004
            return response
        is_file = request.endpoint == "static"
        if not (is_file or (has_access(Access.PUBLIC) and _is_for_everybody())):
            return response
        response.vary.add("Accept-Encoding")
        if request.accept_encodings.quality("gzip") <= 0:
            return response
        response.direct_passthrough = False
        plain = response.get_data()
        response.set_data(_packed_file(plain) if is_file else _packed(plain))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.remove("Accept-Ranges")
        etag, _is_weak = response.get_etag()
        if etag:
            response.set_etag(etag, weak=True)
        return response


def _packed(plain: bytes) -> bytes:
    return gzip.compress(plain, LEVEL, mtime=0)


# Each process compresses each of the dozen files once.
_packed_file = lru_cache(maxsize=32)(_packed)


def _is_for_everybody() -> bool:
    return (
        request.method in {"GET", "HEAD"}
        and not request.cookies
        and (request.view_args or {}).keys() <= SAME_PAGE_VALUES
        and request.args.keys() <= SAME_PAGE_ARGUMENTS
    )
