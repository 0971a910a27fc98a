"""Log requests that fail or take long, by endpoint, as a path may contain a secret."""

import logging
import threading
import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from werkzeug.exceptions import SecurityError

from belong_mail.core import logs
from belong_mail.web.security_headers import LOOPBACK

# Other responses are not logged: who reads which page is no one's business.
SLOW_SECONDS = 1.0

log = logging.getLogger(__name__)


def init_request_log(app: Flask) -> None:
    """Register hooks that run before and after all others."""

    @app.before_request
    def begin() -> None:
        logs.begin_request()
        g.began_at = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("began_at", time.perf_counter())
        if response.status_code >= HTTPStatus.BAD_REQUEST or seconds >= SLOW_SECONDS:
            _log(response.status_code, seconds)
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        logs.end_request()


def init_proxy_check(app: Flask, proxies: int) -> None:
    """Warn once if the proxy sends no visitor's address: then all share one rate limit."""
    if proxies == 0:
        return
    told = threading.Event()

    @app.before_request
    def check() -> None:
        # Requests to loopback names come through no proxy.
        host = request.headers.get("Host", "")
        given = request.headers.get("X-Forwarded-For", "").split(",")
        is_lost = len(given) < proxies or not all(each.strip() for each in given)
        if is_lost and not told.is_set() and host.partition(":")[0] not in LOOPBACK:
            told.set()
            log.warning(
                "No proxy told the web where a visitor is: X-Forwarded-For is missing, or shorter"
                " than BELONG_PROXIES. All visitors count as one."
            )


def _log(status: int, seconds: float) -> None:
    is_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    is_slow = seconds >= SLOW_SECONDS
    logs.event(
        log,
        logging.ERROR if is_fault else logging.WARNING if is_slow else logging.INFO,
        "request failed" if status >= HTTPStatus.BAD_REQUEST else "request was slow",
        status=status,
        method=request.method if request.routing_exception is None else "",
        page=request.endpoint or "",
        ms=round(seconds * 1000),
        reason="not our host" if isinstance(request.routing_exception, SecurityError) else "",
    )
