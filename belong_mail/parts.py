"""parts() and transaction(), for views and commands; and what the settings look like to us."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, cast
from zoneinfo import ZoneInfo

from flask import current_app, has_request_context, request
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from belong_mail import limits
from belong_mail.db import now
from belong_mail.links import Links
from belong_mail.outbox.rendering import Renderer
from belong_mail.sealing import Sealer
from belong_mail.tokens import Tokens

SAFE = {"GET", "HEAD", "OPTIONS"}
SOURCE_RATE = limits.Rate(400, timedelta(minutes=15))
TRUSTED_RATE = limits.Rate(4000, timedelta(minutes=15))
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(Protocol):
    """The settings as the parts see them; `config.Config` reads them."""

    @property
    def is_development(self) -> bool: ...
    @property
    def base_url(self) -> str: ...
    @property
    def database_url(self) -> str: ...
    @property
    def smtp_url(self) -> str: ...
    @property
    def secret_keys(self) -> tuple[str, ...]: ...
    @property
    def public_keys(self) -> tuple[str, ...]: ...
    @property
    def private_keys(self) -> tuple[str, ...]: ...
    @property
    def index_keys(self) -> tuple[str, ...]: ...
    @property
    def mail_domain(self) -> str: ...
    @property
    def mail_from(self) -> str: ...
    @property
    def postal_address(self) -> str: ...
    @property
    def contact_inbox(self) -> str: ...
    @property
    def copy_to_office(self) -> bool: ...
    @property
    def allowed_domains(self) -> tuple[str, ...]: ...
    @property
    def refused_local_parts(self) -> re.Pattern[str] | None: ...
    @property
    def timezone(self) -> ZoneInfo: ...
    @property
    def send_rate(self) -> int | None: ...
    @property
    def daily_quota(self) -> int | None: ...
    @property
    def uncertain(self) -> timedelta | None: ...
    @property
    def proxies(self) -> int: ...
    @property
    def trusted_networks(self) -> tuple[Network, ...]: ...
    @property
    def metrics_token(self) -> str: ...
    @property
    def alert_address(self) -> str: ...
    @property
    def video_url(self) -> str: ...
    @property
    def state_folder(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What views and commands work with."""

    settings: Settings
    writing: sessionmaker[Session]
    reading: sessionmaker[Session]
    tokens: Tokens
    sealer: Sealer
    links: Links
    renderer: Renderer

    def seal_to_office(self) -> bytes:
        """Name the office's inbox as the recipient of a delivery."""
        return self.sealer.seal(self.settings.contact_inbox.encode(), "deliveries.sealed_to")

    def seal_to_operator(self) -> bytes:
        """Name who looks after this instance as the recipient of a delivery."""
        return self.sealer.seal(self.settings.alert_address.encode(), "deliveries.sealed_to")


def parts() -> Parts:
    return cast("Parts", current_app.extensions["belong"])


def bound() -> Engine:
    """Return the database that the parts write to."""
    engine = parts().writing.kw["bind"]
    assert isinstance(engine, Engine)  # noqa: S101 - create_app binds it
    return engine


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
