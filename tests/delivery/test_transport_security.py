"""To whom mail and password are given."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from ssl import SSLContext

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker, make_worker
from config import Config, InvalidSettings
from tests.delivery.factories import books, queue
from tests.markers import on_sqlite
from tests.servers.smtp import Server
from tests.servers.tls import Authority

pytestmark = on_sqlite
USER, PASSWORD = "belong", "correct-horse"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@contextmanager
def secure_relay(context: SSLContext, scheme: str) -> Iterator[Server]:
    tls = "implicit" if scheme == "smtps" else "starttls"
    with Server(tls=tls, context=context, users={USER: PASSWORD}) as server:  # type: ignore[arg-type]
        yield server


def worker_for(
    environment: dict[str, str], services: Services, keyring: Keyring, server: Server, ca: Path,
    *, scheme: str = "smtp", password: str = PASSWORD,
) -> Worker:  # fmt: skip
    """Make a worker that trusts an authority of ours."""
    where = f"{USER}:{password}@localhost:{server.port}"
    url = f"{scheme}://{where}?timeout=20&dot_timeout=20&ca={ca}"
    config = Config.read({**environment, "BELONG_SMTP_URL": url})
    return make_worker(
        Services(
            config,
            services.writing,
            services.reading,
            services.tokens,
            services.sealer,
            services.links,
            services.renderer,
        ),
        keyring,
    )


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_goes_out_under_tls_with_a_password(
    scheme: str, authority: Authority,
    environment: dict[str, str], services: Services, keyring: Keyring,
) -> None:  # fmt: skip
    issue = queue(services, keyring, 2)
    with secure_relay(authority.server(), scheme) as server:
        worker = worker_for(environment, services, keyring, server, authority.file, scheme=scheme)
        worker.drain()
        worker.engine.close()
        assert books(services, issue) == {"recipients": 2, "accepted": 2}
        assert server.connections == 1
        assert sum(command.startswith("AUTH") for command in server.commands) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize(
    "flaw",
    [
        {"is_self_signed": True},
        {"hosts": ("other.example.org",)},
        {"starts_in": -2 * DAY, "ends_in": -DAY},
        {"starts_in": DAY, "ends_in": 2 * DAY},
    ],
    ids=["self-signed", "of another host", "expired", "not yet valid"],
)
def test_nothing_is_told_to_a_relay_whose_certificate_is_wrong(
    flaw: dict[str, object], scheme: str, authority: Authority, caplog: pytest.LogCaptureFixture,
    environment: dict[str, str], services: Services, keyring: Keyring,
) -> None:  # fmt: skip
    issue = queue(services, keyring, 2)
    context = authority.server(**flaw)  # type: ignore[arg-type]
    with secure_relay(context, scheme) as server:
        worker = worker_for(environment, services, keyring, server, authority.file, scheme=scheme)
        worker.drain()
        worker.engine.close()
        assert not [c for c in server.commands if c.startswith(("AUTH", "MAIL", "RCPT"))]
    assert books(services, issue) == {"recipients": 2, "queued": 2}
    assert worker.waiting() == {"queued": 2}
    told = re.search(r"The relay could not be used, at \w+ \((.+)\)", caplog.text)
    assert told
    assert "certificate" in told[1]
    assert PASSWORD not in caplog.text


def test_a_relay_that_hides_starttls_gets_nothing(
    authority: Authority, environment: dict[str, str], services: Services, keyring: Keyring
) -> None:
    """Also not a password: there is no falling back to plain text."""
    issue = queue(services, keyring, 1)
    with Server(users={USER: PASSWORD}) as server:
        worker = worker_for(environment, services, keyring, server, authority.file)
        worker.drain()
        worker.engine.close()
        assert [command[:4].upper() for command in server.commands] == ["EHLO"]
    assert books(services, issue) == {"recipients": 1, "queued": 1}


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "502 No"])
def test_a_relay_that_refuses_starttls_gets_nothing(
    reply: str,
    authority: Authority,
    environment: dict[str, str],
    services: Services,
    keyring: Keyring,
) -> None:
    issue = queue(services, keyring, 1)
    with secure_relay(authority.server(), "smtp") as server:
        server.script("STARTTLS", reply)
        worker = worker_for(environment, services, keyring, server, authority.file)
        worker.drain()
        worker.engine.close()
        verbs = {command.partition(" ")[0] for command in server.commands}
        assert not verbs & {"AUTH", "MAIL"}
    assert books(services, issue) == {"recipients": 1, "queued": 1}


def test_a_wrong_password_is_tried_once_and_stays_out_of_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture,
    environment: dict[str, str], services: Services, keyring: Keyring,
) -> None:  # fmt: skip
    issue = queue(services, keyring, 3)
    with secure_relay(authority.server(), "smtp") as server:
        worker = worker_for(
            environment, services, keyring, server, authority.file, password="wr0ng"
        )
        worker.drain()
        worker.drain()
        worker.engine.close()
        assert sum(command.startswith("AUTH") for command in server.commands) == 1
    assert books(services, issue) == {"recipients": 3, "queued": 3}
    assert "wr0ng" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["smtp://relay.example.org?tls=none", "smtp://10.0.0.1:25?tls=none", "lmtp://mx?tls=none",
     "smtp://user:hidden@127.0.0.1?tls=none", "smtps://127.0.0.1?tls=none"],
)  # fmt: skip
def test_plain_text_beyond_this_machine_is_refused_at_the_start(
    url: str, environment: dict[str, str]
) -> None:
    with pytest.raises(InvalidSettings, match="BELONG_SMTP_URL cannot be used") as refused:
        Config.read({**environment, "BELONG_SMTP_URL": url})
    assert "hidden" not in str(refused.value)
