"""The compose file: who may do what, who reaches whom, who holds which key."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ProgrammingError

from belong_mail.core.encryption import new_keys
from config import Config
from tests.deploy import dockerfile
from tests.ops.copies import BIN
from tests.ops.troubles import run as ask
from tests.postgres import postgresql
from tests.processes import ROOT, run
from tests.production.units import settings

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("web", "worker", "upgrade")
OF_THE_WORKER = {"private", "index", "relay", "database"}
# Top-level words and those of a service in the Compose specification, as far as we use them.
OF_A_SERVICE = {
    "build", "cap_add", "cap_drop", "command", "depends_on", "env_file", "environment",
    "healthcheck", "image", "init", "logging", "networks", "pids_limit", "ports", "read_only",
    "restart", "secrets", "security_opt", "shm_size", "stop_grace_period", "tmpfs", "ulimits",
    "user", "volumes",
}  # fmt: skip


def test_it_says_nothing_that_compose_does_not_know_and_of_every_image_a_version():
    known = {"name", "services", "networks", "volumes", "secrets"}
    assert {name for name in COMPOSE if not name.startswith("x-")} == known
    assert SERVICES.keys() == {"proxy", "web", "worker", "upgrade", "database"}
    for name, service in SERVICES.items():
        assert service.keys() <= OF_A_SERVICE, name
        assert re.fullmatch(r"[a-z-]+:\d[\w.-]*", service["image"]), name
        for kind in ("networks", "secrets"):
            assert set(service.get(kind, ())) <= COMPOSE[kind].keys()
        named = [each.partition(":")[0] for each in service.get("volumes", ())]
        for each in named:
            assert each in COMPOSE["volumes"] or (DEPLOY / each).is_file()
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    for stage in dockerfile.read(DEPLOY / "Dockerfile"):
        assert re.fullmatch(r"debian:\d+\.\d+-slim", stage.image)


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    assert "privileged" not in service
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert all("noexec" in each or "/var/run/postgresql" in each for each in service["tmpfs"])
    if name != "proxy":
        assert not service["user"].startswith(("0", "root"))
        assert "ports" not in service


def test_the_proxy_does_not_reach_the_database():
    reach = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert reach["proxy"] == {"outside", "pages"}
    assert reach["database"] == {"data"}
    assert not reach["proxy"] & (reach["database"] | reach["worker"])
    to_the_world = {name for name, network in COMPOSE["networks"].items() if not network}
    assert [name for name in SERVICES if reach[name] & to_the_world] == ["proxy", "worker"]


def test_the_web_holds_the_public_key_and_no_other():
    assert set(SERVICES["web"]["secrets"]) == {"secret", "public", "web-database"}
    assert SERVICES["proxy"].get("secrets") is None
    assert set(SERVICES["worker"]["secrets"]) >= OF_THE_WORKER
    assert SERVICES["upgrade"]["secrets"] == SERVICES["worker"]["secrets"]
    asked = SERVICES["database"]["environment"]["POSTGRES_INITDB_ARGS"]
    assert "--auth-host=scram-sha-256" in asked, "a password, whoever asks"
    assert not SERVICES["web"].get("volumes")
    for name, secret in COMPOSE["secrets"].items():
        # Outside of the checkout, all of which a wheel or an image could take along.
        assert secret == {"file": f"/etc/belong-mail/keys/{name}"}
    users = {SERVICES[name]["user"] for name in OURS}
    final = dockerfile.read(DEPLOY / "Dockerfile")[-1]
    assert users == {final.last("USER"), "10002:10000"}
    assert "--uid 10002" in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_taken_as_they_stand(name, tmp_path):
    """With secrets as an operator writes them, and nothing that the service is not given."""
    read = Config.read(environment(name, tmp_path, "postgresql+psycopg://u:p@database/belong"))
    assert read.env == "production"
    assert bool(read.private_keys) is bool(read.index_keys) is (name != "web")
    assert read.proxies == (1 if name == "web" else 0)
    assert read.web_database_role == ("" if name == "web" else "belong_web")


def environment(name: str, folder: Path, database_url: str) -> dict[str, str]:
    texts = {**new_keys(), "relay": "smtps://u:p@relay.example.org:465"}
    texts |= {"database": database_url, "web-database": database_url, "superuser": "x"}
    for each in SERVICES[name]["secrets"]:
        (folder / each).write_text(texts[each])
    given = {**settings(DEPLOY / "compose.env"), **SERVICES[name]["environment"]}
    image = dockerfile.read(DEPLOY / "Dockerfile")[-1].environment()
    assert image["BELONG_ENV"] == "production"
    given["BELONG_ENV"] = image["BELONG_ENV"]
    return {key: value.replace("/run/secrets", str(folder)) for key, value in given.items()}


@pytest.fixture
def server() -> Iterator[URL]:
    with postgresql() as url:
        yield make_url(url)


def test_postgresql_begins_with_two_roles_and_the_web_may_only_what_its_pages_do(server, tmp_path):
    """As PostgreSQL's image runs our script, with names of this test's own."""
    own = f"belong_{secrets.token_hex(4)}"
    address = server.set(database=own)
    urls = {
        "database": address.set(username=f"{own}_worker", password=secrets.token_urlsafe()),
        "web-database": address.set(username=f"{own}_web", password=secrets.token_urlsafe()),
    }
    for name, url in urls.items():
        (tmp_path / name).write_text(url.render_as_string(hide_password=False))
    script = (DEPLOY / "postgresql-roles.sh").read_text().replace("/run/secrets", str(tmp_path))
    for name in ("belong_worker", "belong_web"):
        script = script.replace(name, name.replace("belong", own))
    script = script.replace("DATABASE belong ", f"DATABASE {own} ")
    try:
        done = subprocess.run(
            ["sh", "-c", script], env=reaching(server),
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        whole = urls["database"].render_as_string(hide_password=False)
        given = environment("worker", tmp_path, whole) | {"BELONG_STATE_FOLDER": str(tmp_path)}
        upgraded = run({**given, "BELONG_WEB_DATABASE_ROLE": f"{own}_web"}, "db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        change = "UPDATE subscriptions SET wrapped_address = NULL"
        assert can(urls["database"], change)
        assert not can(urls["web-database"], change)
        assert can(urls["web-database"], "SELECT count(*) FROM subscriptions")
        has_password = f"rolname LIKE '{own}%' AND rolpassword LIKE 'SCRAM-SHA-256$%'"
        [number] = ask(server, f"SELECT count(*) FROM pg_authid WHERE {has_password}")  # noqa: S608
        assert number == 2
        limit = f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{own}_web'"  # noqa: S608
        assert ask(server, limit) == [80], "the worker keeps some of PostgreSQL's hundred"
    finally:
        for what in (f"DATABASE {own}", f"ROLE {own}_web", f"ROLE {own}_worker"):
            ask(server, f"DROP {what}")


@pytest.mark.parametrize("without", ["database", "web-database"])
def test_without_a_password_no_role_is_made(without, tmp_path):
    """A psql that would say so stands in the place of PostgreSQL's."""
    for name in ("database", "web-database"):
        password = "" if name == without else "pa55"
        (tmp_path / name).write_text(f"postgresql+psycopg://role:{password}@database/belong\n")
    (tmp_path / "psql").write_text("#!/bin/sh\necho made\n")
    (tmp_path / "psql").chmod(0o755)
    script = (DEPLOY / "postgresql-roles.sh").read_text().replace("/run/secrets", str(tmp_path))
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")


def reaching(server: URL) -> dict[str, str]:
    """Tell psql where the server is, as it stands in the server's own container."""
    host = server.host or str(server.query["host"])
    return {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PGHOST": host,
        "PGPORT": str(server.port or 5432),
        "PGPASSWORD": server.password or "",
        "POSTGRES_USER": server.username or "",
    }


def can(url: URL, statement: str) -> bool:
    try:
        ask(url, statement)
    except ProgrammingError as error:
        if "permission denied" not in str(error):
            raise
        return False
    return True
