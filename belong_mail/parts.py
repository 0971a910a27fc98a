"""The parts that pages, commands and the worker share; and what the settings look like to us."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from belong_mail.db import make_engine
from belong_mail.links import Links
from belong_mail.outbox.rendering import Renderer
from belong_mail.sealing import Sealer
from belong_mail.tokens import Tokens

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
    """What views, commands and the worker work with."""

    settings: Settings
    writing: sessionmaker[Session]
    reading: sessionmaker[Session]
    tokens: Tokens
    sealer: Sealer
    links: Links
    renderer: Renderer

    @property
    def engine(self) -> Engine:
        """The database that the parts write to."""
        engine = self.writing.kw["bind"]
        assert isinstance(engine, Engine)  # noqa: S101 - make_parts binds it
        return engine

    def seal_to_office(self) -> bytes:
        """Name the office's inbox as the recipient of a delivery."""
        return self.sealer.seal(self.settings.contact_inbox.encode(), "deliveries.sealed_to")

    def seal_to_operator(self) -> bytes:
        """Name who looks after this instance as the recipient of a delivery."""
        return self.sealer.seal(self.settings.alert_address.encode(), "deliveries.sealed_to")


def make_parts(settings: Settings, compiled: int = 500) -> Parts:
    """Make the parts that the settings ask for; so many statements stay compiled."""
    tokens = Tokens(settings.secret_keys)
    engine = make_engine(settings.database_url, compiled)
    return Parts(
        settings=settings,
        writing=sessionmaker(engine, expire_on_commit=False),
        reading=sessionmaker(engine.execution_options(is_reading=True), expire_on_commit=False),
        tokens=tokens,
        sealer=Sealer(settings.public_keys),
        links=Links(settings.base_url, tokens),
        renderer=Renderer(settings.mail_from, settings.postal_address, settings.timezone),
    )
