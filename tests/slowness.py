"""What the log calls slow: nothing in tests, as everything may be on a busy machine."""

from belong_mail.web import request_log

# Seconds of a request, as the product has them.
SLOW = request_log.SLOW_SECONDS


def call_slow(request: float = 3600.0) -> None:
    request_log.SLOW_SECONDS = request
