"""Figures for the operator's machines, behind a token."""

import hmac

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from belong_mail.current import parts, transaction
from belong_mail.operating import figures

operating = Blueprint("operating", __name__)


@operating.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Answer like a page that is not there to whoever has not the token."""
    token = parts().settings.metrics_token
    given = request.headers.get("Authorization", "").encode("latin-1")
    if not token or not hmac.compare_digest(given, f"Bearer {token}".encode()):
        abort(404)
    with transaction() as session:
        said = figures.exposition(figures.gather(session))
    return said, 200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
