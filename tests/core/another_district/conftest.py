"""The app of Lakeside, in a database that no district's groups were written into."""

from collections.abc import Iterator

import pytest
from flask import Flask

from belong_mail.app import create_app
from belong_mail.core import i18n
from belong_mail.core.services import Services
from config import Config
from tests.core.another_district.lakeside import SETTINGS, add_groups
from tests.web_role import pages_as_web


@pytest.fixture
def settings() -> dict[str, str]:
    return dict(SETTINGS)


@pytest.fixture
def app(environment: dict[str, str]) -> Iterator[Flask]:
    """The same code, without `--seed dps`; afterward this process is ours again."""
    ours = i18n.names()
    app = create_app(Config.read(environment))
    services: Services = app.extensions["belong"]
    with services.writing.begin() as session:
        add_groups(session)
    with pages_as_web(services.engine):
        yield app
    services.engine.dispose()
    i18n.use_names(ours)
