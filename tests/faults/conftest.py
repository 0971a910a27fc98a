"""Shared by tests of faults: a relay that keeps a ledger, and a scene around it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from belong_mail.app import create_app
from belong_mail.core.decryption import Keyring, worker_keys
from belong_mail.core.services import Services
from belong_mail.groups import service as groups
from config import Config
from tests.conftest import settings_for
from tests.faults.scene import Scene
from tests.servers.ledger import Ledger
from tests.servers.manners import EXTENSIONS
from tests.servers.smtp import Server
from tests.servers.tls import Authority

USER, PASSWORD = "belong", "s3cret"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    yield ledger
    ledger.close()


@pytest.fixture
def extensions() -> tuple[str, ...]:
    """The extensions that the relay offers."""
    return EXTENSIONS


@pytest.fixture
def is_secure() -> bool:
    """Whether the relay wants TLS and a password."""
    return False


def make_relay(
    ledger: Ledger, extensions: tuple[str, ...] = EXTENSIONS, authority: Authority | None = None
) -> Server:
    """Make a relay, which wants TLS and a password where an authority vouches for it."""
    if authority is None:
        return Server(extensions=extensions, ledger=ledger)
    context, users = authority.server(), {USER: PASSWORD}
    return Server(
        tls="starttls", context=context, users=users, extensions=extensions, ledger=ledger
    )


def url_of(relay: Server, patience: str, authority: Authority | None = None) -> str:
    where = f"127.0.0.1:{relay.port}"
    if authority is None:
        return f"smtp://{where}?tls=none&{patience}"
    return f"smtp://{USER}:{PASSWORD}@{where}?ca={authority.file}&{patience}"


@pytest.fixture
def its_authority(request: pytest.FixtureRequest, *, is_secure: bool) -> Authority | None:
    """The authority that vouches for the relay."""
    return request.getfixturevalue("authority") if is_secure else None


@pytest.fixture
def relay(
    ledger: Ledger, extensions: tuple[str, ...], its_authority: Authority | None
) -> Iterator[Server]:
    with make_relay(ledger, extensions, its_authority) as server:
        yield server


@pytest.fixture
def patience() -> str:
    """Time-outs and connections in the relay's URL."""
    return "timeout=20&dot_timeout=20"


@pytest.fixture
def environment(
    environment: dict[str, str], relay: Server, patience: str, its_authority: Authority | None
) -> dict[str, str]:
    """The settings, with the relay of these tests; what is uncertain is sent again at once."""
    return {
        **environment,
        "BELONG_SMTP_URL": url_of(relay, patience, its_authority),
        "BELONG_UNCERTAIN": environment.get("BELONG_UNCERTAIN", "0"),
    }


@pytest.fixture
def scene(
    relay: Server, environment: dict[str, str], services: Services, keyring: Keyring, ledger: Ledger
) -> Scene:
    return Scene(relay, environment, services, keyring, ledger.file)


@dataclass(frozen=True)
class Scenes:
    """Makes scenes with a SQLite database and a relay of their own, for trials at once."""

    folder: Path
    blank: Path
    authority: Authority

    @contextmanager
    def make(
        self,
        name: str,
        patience: str,
        extensions: tuple[str, ...] = EXTENSIONS,
        uncertain: str = "0",
        *,
        is_secure: bool = False,
    ) -> Iterator[Scene]:
        """Set up a scene as the fixtures do."""
        folder = self.folder / name
        folder.mkdir()
        shutil.copy(self.blank, folder / "belong.db")
        ledger, authority = Ledger(folder / "ledger"), self.authority if is_secure else None
        with make_relay(ledger, extensions, authority) as relay:
            settings = {
                **settings_for(f"sqlite:///{folder}/belong.db", folder / "state"),
                "BELONG_SMTP_URL": url_of(relay, patience, authority),
                "BELONG_UNCERTAIN": uncertain,
            }
            config = Config.read(settings)
            services: Services = create_app(config).extensions["belong"]
            with services.writing.begin() as session:
                groups.seed(session)
            keyring = Keyring(*worker_keys(config.private_keys, config.index_keys))
            yield Scene(relay, settings, services, keyring, ledger.file)
            services.engine.dispose()
        ledger.close()


@pytest.fixture
def scenes(tmp_path: Path, blank_sqlite: Path, authority: Authority) -> Scenes:
    return Scenes(tmp_path, blank_sqlite, authority)
