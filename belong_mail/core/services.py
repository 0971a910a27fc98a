"""Collaborators that views, commands and the worker share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core.db import make_engine
from belong_mail.core.email_templates import Renderer
from belong_mail.core.encryption import Sealer
from belong_mail.core.i18n import use_names
from belong_mail.core.links import Links
from belong_mail.core.tokens import Tokens

if TYPE_CHECKING:
    from config import Config

    Settings = Config
else:  # only wsgi.py and work.py read settings, no room imports them
    Settings = Any


@dataclass(frozen=True, slots=True)
class Services:
    """Settings, database sessions, keys of the web, links and templates."""

    settings: Settings
    writing: sessionmaker[Session]
    reading: sessionmaker[Session]
    tokens: Tokens
    sealer: Sealer
    links: Links
    renderer: Renderer

    @property
    def engine(self) -> Engine:
        """The database that the services write to."""
        engine = self.writing.kw["bind"]
        assert isinstance(engine, Engine)  # noqa: S101 - make_services binds it
        return engine


def make_services(settings: Settings) -> Services:
    use_names(settings.names)
    tokens = Tokens(settings.secret_keys)
    links = Links(settings.base_url, tokens)
    engine = make_engine(settings.database_url)
    return Services(
        settings=settings,
        writing=sessionmaker(engine, expire_on_commit=False),
        reading=sessionmaker(engine.execution_options(is_reading=True), expire_on_commit=False),
        tokens=tokens,
        sealer=Sealer(settings.public_keys),
        links=links,
        renderer=Renderer(settings, links),
    )
