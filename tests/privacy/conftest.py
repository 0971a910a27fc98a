"""One walk through every journey for each database; the proofs look at what it left."""

from collections.abc import Iterator

import pytest

from belong_mail.accounts import invitations
from belong_mail.app import create_app
from belong_mail.core.decryption import worker_keys
from belong_mail.groups import service as groups
from config import Config
from tests.conftest import new_database, settings_for
from tests.factories import group_named
from tests.privacy.journey import LEAD, MAIN, Evidence, gather
from tests.servers.ports import free_port
from tests.servers.smtp import Server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def walked_url(request, tmp_path_factory: pytest.TempPathFactory) -> str:
    return new_database(request, tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="session")
def evidence(walked_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    with Server() as relay:
        environment = settings_for(walked_url, folder / "state") | {
            "BELONG_BASE_URL": f"http://localhost:{port}",
            "BELONG_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none&timeout=20&dot_timeout=20",
            "BELONG_COPY_TO_OFFICE": "yes",
        }
        config = Config.read(environment)
        parts = create_app(config).extensions["belong"]
        with parts.writing.begin() as session:
            groups.seed(session)
            keys = worker_keys(config.private_keys, config.index_keys)
            invitations.invite(session, keys, group_named(session, MAIN), LEAD)
        parts.writing.kw["bind"].dispose()
        yield gather(environment, relay, folder, port)
