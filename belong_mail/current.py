"""The parts of the app that is asked, and transaction(): for views and commands."""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import cast

from flask import current_app, has_request_context, request
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import now
from belong_mail.parts import Parts

SAFE = {"GET", "HEAD", "OPTIONS"}
SOURCE_RATE = limits.Rate(400, timedelta(minutes=15))
TRUSTED_RATE = limits.Rate(4000, timedelta(minutes=15))


def parts() -> Parts:
    return cast("Parts", current_app.extensions["belong"])


@contextmanager
def transaction() -> Iterator[Session]:
    """One transaction: leaving well commits, an error rolls back.

    Within GET, HEAD and OPTIONS the database itself refuses to write.
    """
    is_reading = has_request_context() and request.method in SAFE
    with (parts().reading if is_reading else parts().writing).begin() as session:
        yield session


@contextmanager
def looking() -> Iterator[Session]:
    """One transaction that only reads, whatever the method: nobody who writes waits for its end."""
    with parts().reading.begin() as session:
        yield session


def when_admitted(session: Session) -> datetime:
    """Count a request of its source and return when it may be answered: now, or later.

    A source is an address (a /64 in IPv6), and is kept as a keyed hash of the day.
    """
    settings = parts().settings
    source = _source(request.remote_addr or "")
    is_trusted = any(source in network for network in settings.trusted_networks)
    if source.version == 6:  # noqa: PLR2004
        source = ipaddress.ip_network((source, 64), strict=False).network_address
    at = now()
    message = f"source/{at.date()}/{source}".encode()
    key = hmac.digest(settings.secret_keys[-1].encode(), message, hashlib.sha256)[:16]
    return limits.admit(session, key, TRUSTED_RATE if is_trusted else SOURCE_RATE, at)


def _source(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address; what no proxy should have said counts as one source of its own."""
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        return ipaddress.IPv4Address(0)
    return getattr(source, "ipv4_mapped", None) or source
