"""What the log calls slow: nothing in tests, as everything may be on a busy machine."""

from belong_mail.core import db
from belong_mail.web import request_log

# Seconds of a request and of a statement, as the product has them.
SLOW = (request_log.SLOW_SECONDS, db.SLOW_QUERY_SECONDS)


def call_slow(request: float = 3600.0, statement: float = 3600.0) -> None:
    request_log.SLOW_SECONDS, db.SLOW_QUERY_SECONDS = request, statement
