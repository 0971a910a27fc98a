"""The house's own rules (`house.md` 3 and 7): what neither contracts nor linters can check."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import grimp
import pytest
from flask import Flask
from jinja2 import Environment, meta

from belong_mail import schema
from belong_mail.app import DEVELOPMENT, PUBLIC, create_app
from belong_mail.db import make_engine
from belong_mail.handlers import LETTERS
from belong_mail.outbox.rendering import FOLDER as EMAILS
from belong_mail.outbox.rendering import Renderer
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from config import Config
from tests.dump import dump_of
from tests.people import Visitor, path_of
from tests.servers.smtp import Server
from tests.tour import (
    all_of_a_lead,
    lead_stops,
    mailed_links,
    open_thread,
    pressed,
    record_templates,
    reference_of,
    sign_in,
    stops,
)

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "belong_mail"
MOST_LINES = 18_502
"""Of the package. A ratchet: raising it needs a reason in the commit."""
NOT_OURS = {".git", ".venv", "var", "__pycache__"}
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def modules(*folders: Path) -> list[Path]:
    """List our Python files; migrations are frozen history and follow their own rules."""
    files = [file for folder in folders for file in folder.rglob("*.py")]
    return sorted(file for file in files if "migrations" not in file.parts)


def everything() -> Iterator[Path]:
    """Walk over what stands in the repository, without asking git."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in NOT_OURS and not f.endswith("_cache")]
        folders[:] = [f for f in folders if f not in {".hypothesis", "test-results"}]
        yield from (Path(folder) / name for name in names if name != ".env")


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(file: Path) -> int:
    return len(file.read_text().splitlines())


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def too_long(files: list[Path], most: int) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}: {node.name} has {length(node)} lines"
        for file in files
        for node in functions(file)
        if length(node) > most
    ]


def test_no_module_is_longer_than_200_lines() -> None:
    files = [*modules(PACKAGE), *(ROOT / name for name in ("config.py", "work.py", "wsgi.py"))]
    assert {str(file): lines_of(file) for file in files if lines_of(file) > 200} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    files = [*modules(PACKAGE, ROOT / "tests"), *ROOT.glob("*.py")]
    assert too_long(files, 40) == []


def test_no_view_is_longer_than_20_lines() -> None:
    assert too_long(modules(*PACKAGE.glob("*/views.py"), PACKAGE / "errors.py"), 20) == []
    views = list(PACKAGE.glob("*/views.py"))
    assert len(views) >= 4
    assert too_long(views, 20) == []


def test_a_feature_is_six_files_at_most() -> None:
    """Mail and sending are the engine, no features: a module for each thing it must know."""
    sizes = {
        folder.name: len([file for file in folder.glob("*.py") if file.name != "__init__.py"])
        for folder in PACKAGE.iterdir()
        if folder.is_dir() and folder.name not in {"migrations", "static", "__pycache__"}
    }
    assert sizes.pop("mail") <= 18
    assert sizes.pop("sending") <= 13
    assert {name: size for name, size in sizes.items() if size > 6} == {}


def test_no_conftest_is_longer_than_150_lines() -> None:
    files = (ROOT / "tests").rglob("conftest.py")
    assert {str(file): lines_of(file) for file in files if lines_of(file) > 150} == {}


def test_the_package_does_not_grow_unnoticed() -> None:
    assert sum(lines_of(file) for file in modules(PACKAGE)) <= MOST_LINES


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = grimp.build_graph("belong_mail", cache_dir=None)
    names = sorted(graph.modules)
    edges = {name: graph.find_modules_directly_imported_by(name) for name in names}
    assert len(edges) > 50
    TopologicalSorter(edges).prepare()


def test_the_contracts_about_imports_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout


def test_nothing_is_patched_in_a_test() -> None:
    found = [
        f"{file.name}:{node.lineno}"
        for file in modules(ROOT / "tests")
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"patch", "setattr", "setitem"})
        or (isinstance(node, ast.ImportFrom) and "mock" in (node.module or ""))
        or (isinstance(node, ast.Import) and any("mock" in each.name for each in node.names))
    ]
    assert found == []


def test_nothing_is_imported_within_a_function() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {function.name}"
        for file in [*modules(PACKAGE, ROOT / "tests"), *ROOT.glob("*.py")]
        for function in functions(file)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert found == []


def test_every_module_says_first_what_it_is_for() -> None:
    for file in [*modules(PACKAGE, ROOT / "tests"), *ROOT.glob("*.py")]:
        tree = ast.parse(file.read_text())
        if tree.body:
            first = (ast.get_docstring(tree) or "").partition("\n")[0]
            assert first.endswith((".", "…")), file


def test_no_file_is_named_for_being_left_over() -> None:
    stray = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "core", "base"}
    assert [file for file in modules(PACKAGE, ROOT / "tests") if file.stem in stray] == []


def test_services_never_commit_and_only_the_doors_begin() -> None:
    beginning = {
        str(file.relative_to(PACKAGE))
        for file in modules(PACKAGE)
        if ".begin()" in file.read_text() or ".commit(" in file.read_text()
    }
    doors = {"current.py", "worker.py", "schema.py", "sending/engine.py", "operating/commands.py"}
    assert beginning <= doors
    assert [f for f in modules(PACKAGE) if ".commit(" in f.read_text()] == []


def test_no_machine_stands_in_the_repository() -> None:
    """No path of this machine and no package index but the lock's default."""
    index = RawConfigParser()
    index.read([Path.home() / ".config/pip/pip.conf", "/etc/pip.conf"])
    places = [os.environ.get(name, "") for name in ("PIP_INDEX_URL", "UV_INDEX_URL")]
    places += [index.get("global", "index-url", fallback=""), str(Path.home())]
    hosts = {urlsplit(place).hostname for place in places} - {None, "pypi.org"}
    names = {str(ROOT), *(str(host) for host in hosts)} - {"/", "/app"}
    if str(Path.home()) not in {"/", "/root"}:
        names.add(str(Path.home()))
    for file in everything():
        text = file.read_bytes().decode("utf-8", "replace")
        allowed = ROOT / "tests" / "dev" in file.parents
        assert allowed or not [name for name in names if name in text], file


def test_every_setting_has_an_example() -> None:
    example = (ROOT / ".env.example").read_text()
    assert [
        name for name in Config.__dataclass_fields__ if f"BELONG_{name.upper()}" not in example
    ] == []


def test_the_map_in_the_readme_is_true() -> None:
    readme = (ROOT / "README.md").read_text()
    [chart] = re.findall(r"^## The map\n+```\n(.*?)\n```", readme, re.MULTILINE | re.DOTALL)
    places = {line.split()[0] for line in chart.splitlines() if line}
    assert [place for place in places if not (ROOT / place).exists()] == []
    ours = {f"belong_mail/{file.name}" for file in PACKAGE.glob("*.py")}
    ours |= {f"belong_mail/{folder.parent.name}/" for folder in PACKAGE.glob("*/__init__.py")}
    assert ours - places == {"belong_mail/__init__.py"}


def test_every_mail_has_three_parts_and_a_writer() -> None:
    folders = {folder.name: folder for folder in EMAILS.iterdir() if folder.is_dir()}
    assert folders.keys() == LETTERS.keys() | {"newsletter", "new-colleague"}
    for folder in folders.values():
        assert {file.name for file in folder.iterdir()} == {"subject.txt", "body.txt", "body.html"}


def test_every_mail_compiles() -> None:
    renderer = Renderer("DPS Belong", "1860 Lincoln St, Denver", ZoneInfo("America/Denver"))
    for environment in renderer._environments.values():
        for name in environment.list_templates():
            environment.get_template(name)


@ON_SQLITE
def test_every_template_compiles_and_every_page_of_them_is_shown_somewhere(
    app: Flask, visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    shown: set[str] = set()
    record_templates(app, shown)
    links = mailed_links(visitor, worker, relay, parts, keyring)
    for stop in stops(parts, links, reference_of(visitor)):
        visitor.client.get(path_of(stop.url), buffered=True)
    list(pressed(visitor, links))
    assert open_thread(visitor, parts).status_code == 200
    for _page in all_of_a_lead(sign_in(app, parts, keyring, worker, relay), parts):
        pass
    environment = app.jinja_env
    names = {name for name in environment.list_templates() if name.endswith(".html")}
    for name in names:
        environment.get_template(name)
    assert names - shown - referenced(environment, names) == set()


def referenced(environment: Environment, names: set[str]) -> set[str]:
    """Return the templates that others extend, include or import."""
    found: set[str] = set()
    for name in names:
        source = (ROOT / "templates" / name).read_text()
        found |= {str(each) for each in meta.find_referenced_templates(environment.parse(source))}
    return found


def test_migrations_lead_to_the_models(database_url: str) -> None:
    engine = make_engine(database_url)
    assert schema.differences(engine) == []
    engine.dispose()


@ON_SQLITE
def test_every_page_is_public_by_the_list_or_refused_to_strangers(
    app: Flask, visitor: Visitor
) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert endpoints >= PUBLIC | DEVELOPMENT
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in PUBLIC | DEVELOPMENT:
            address = re.sub("<[^>]+>", "1", rule.rule)
            for method in {"GET", "HEAD"} & (rule.methods or set()):
                answer = visitor.client.open(address, method=method)
                assert answer.status_code == 302, rule
                assert answer.location == "/sign-in", rule
            for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
                assert visitor.client.open(address, method=method).status_code in {400, 403}, rule


@ON_SQLITE
def test_a_page_that_nobody_listed_is_refused(app: Flask, visitor: Visitor) -> None:
    app.add_url_rule("/new", "new", lambda: "a secret", methods=["GET", "POST"])
    for method in ("GET", "POST"):
        answer = visitor.client.open("/new", method=method)
        assert answer.status_code in ({302} if method == "GET" else {400, 403})
        assert "a secret" not in answer.text


@ON_SQLITE
def test_in_production_there_is_no_page_for_development(environment: dict[str, str]) -> None:
    environment |= {
        "BELONG_ENV": "production",
        "BELONG_BASE_URL": "https://belong.example.org",
        "BELONG_MAIL_DOMAIN": "example.org",
        "BELONG_POSTAL_ADDRESS": "1860 Lincoln St, Denver",
        "BELONG_CONTACT_INBOX": "office@example.org",
    }
    app = create_app(Config.read(environment))
    paths = {rule.rule for rule in app.url_map.iter_rules()}
    assert not [path for path in paths if path.startswith("/dev")]
    client = app.test_client(use_cookies=False)
    assert client.get("/dev/mailbox", base_url="https://belong.example.org").status_code == 404
    parts: Parts = app.extensions["belong"]
    parts.writing.kw["bind"].dispose()


@ON_SQLITE
def test_whom_we_do_not_know_is_refused_where_a_lead_is_let_in(
    app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server, visitor: Visitor
) -> None:
    lead = sign_in(app, parts, keyring, worker, relay)
    places = list(lead_stops(app, parts))
    assert len(places) >= 8
    for place in places:
        assert lead.open(place).status_code == 200, place
        assert visitor.open(place).location == "/sign-in", place


def test_reading_any_page_or_mailed_link_changes_nothing(
    app: Flask, visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    lead = sign_in(app, parts, keyring, worker, relay)
    lead_places = list(lead_stops(app, parts))
    links = mailed_links(visitor, worker, relay, parts, keyring)
    places = list(stops(parts, links, reference_of(visitor)))
    assert {
        rule.rule.split("/")[1]
        for rule in app.url_map.iter_rules()
        if {"token", "secret"} & rule.arguments
    } == links.keys()
    before = dump_of(parts)
    for stop in places:
        for method in ("GET", "HEAD", "OPTIONS"):
            visitor.client.open(path_of(stop.url), method=method, buffered=True)
    for place in lead_places:
        for method in ("GET", "HEAD", "OPTIONS"):
            lead.client.open(place, method=method)
    assert dump_of(parts) == before
