"""What tests of faults share: a relay that keeps a ledger, and a scene around it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
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
    """What the relay offers."""
    return EXTENSIONS


@pytest.fixture
def is_secure() -> bool:
    """Whether the relay wants TLS and a password."""
    return False


@pytest.fixture
def relay(
    request: pytest.FixtureRequest, ledger: Ledger, extensions: tuple[str, ...], *, is_secure: bool
) -> Iterator[Server]:
    if is_secure:
        authority: Authority = request.getfixturevalue("authority")
        context, users = authority.server(), {USER: PASSWORD}
        server = Server(
            tls="starttls", context=context, users=users, extensions=extensions, ledger=ledger
        )
    else:
        server = Server(extensions=extensions, ledger=ledger)
    with server:
        yield server


@pytest.fixture
def patience() -> str:
    """What the relay's URL says of time-outs and connections."""
    return "timeout=20&dot_timeout=20"


@pytest.fixture
def environment(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    relay: Server,
    patience: str,
    *,
    is_secure: bool,
) -> dict[str, str]:
    """The settings, with the relay of these tests; what is uncertain is sent again at once."""
    where, query = f"127.0.0.1:{relay.port}", f"tls=none&{patience}"
    if is_secure:
        authority: Authority = request.getfixturevalue("authority")
        where, query = f"{USER}:{PASSWORD}@{where}", f"ca={authority.file}&{patience}"
    return {
        **environment,
        "BELONG_SMTP_URL": f"smtp://{where}?{query}",
        "BELONG_UNCERTAIN": environment.get("BELONG_UNCERTAIN", "0"),
    }


@pytest.fixture
def scene(
    relay: Server, environment: dict[str, str], services: Services, keyring: Keyring, ledger: Ledger
) -> Scene:
    return Scene(relay, environment, services, keyring, ledger.file)
