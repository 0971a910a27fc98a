"""The house's own rules: what neither contracts nor linters can check."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit

import grimp
import pytest
from jinja2 import Environment, meta

from belong_mail.app import create_app
from belong_mail.core.email_templates import EMAILS
from belong_mail.core.services import Services
from belong_mail.ops import rooms
from belong_mail.web.access import Access
from config import Config
from tests.browser_client import path_of
from tests.crawl import (
    all_of_a_lead,
    lead_stops,
    mailed_links,
    open_thread,
    pressed,
    prove_again,
    record_templates,
    reference_of,
    sign_in,
    stops,
    used,
)
from tests.db_dump import kept_of
from tests.district_names import DISTRICT
from tests.markers import on_both, on_sqlite
from tests.web.rights.table import PART, rights_table

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "belong_mail"
NOT_OURS = {".git", ".venv", "var", "__pycache__"}


def modules(*folders: Path) -> list[Path]:
    """List our Python files; migrations follow their own rules."""
    files = [file for folder in folders for file in folder.rglob("*.py")]
    return sorted(file for file in files if "migrations" not in file.parts)


def with_pages() -> list[Path]:
    return [file for file in modules(PACKAGE) if " = Blueprint(" in file.read_text()]


def views() -> set[str]:
    return {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in with_pages()}


def everything() -> Iterator[Path]:
    """Walk over what stands in the repository, without asking git."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in NOT_OURS and not f.endswith("_cache")]
        folders[:] = [f for f in folders if f not in {".hypothesis", "test-results"}]
        yield from (Path(folder) / name for name in names if name != ".env")


@cache
def imports() -> grimp.ImportGraph:
    """Read who imports what, of other packages too; what only annotations need does not count."""
    return grimp.build_graph(
        "belong_mail",
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )


def called(*words: str) -> set[str]:
    """Name the modules that are called so, alone or after another word, as `right_tasks` is."""
    return {name for name in imports().modules if re.split(r"[._]", name)[-1] in words}


def test_views_and_forms_use_neither_tasks_nor_emails():
    of_the_worker = called("tasks", "emails")
    used = {
        each: imports().find_modules_directly_imported_by(each) & of_the_worker
        for each in views() | called("forms")
    }
    assert {each: by for each, by in used.items() if by} == {}


def test_no_view_or_form_reaches_decryption_directly_or_through_others():
    keys = "belong_mail.core.decryption"
    blind = views() | called("forms") | {"belong_mail.web.context"}
    reaching = imports().find_downstream_modules(keys) & blind
    assert [imports().find_shortest_chain(each, keys) for each in reaching] == []


# They have no pages of their own, and need the request or a form's fields.
FLASK_USERS = {
    "belong_mail.accounts.proof", "belong_mail.accounts.session", "belong_mail.app",
    "belong_mail.groups.questions", "belong_mail.ops.cli", "belong_mail.pages.errors",
    "belong_mail.pages.signed_out",
}  # fmt: skip


def test_flask_and_its_forms_stay_in_views_forms_and_web():
    users: set[str] = set()
    for package in ("flask", "flask_wtf", "wtforms"):
        users |= imports().find_modules_that_directly_import(package)
    elsewhere = users - views() - called("forms")
    assert {each for each in elsewhere if not each.startswith("belong_mail.web.")} == FLASK_USERS


def test_no_module_imports_itself_in_a_circle():
    graph = grimp.build_graph("belong_mail", cache_dir=None)
    names = sorted(graph.modules)
    edges = {name: graph.find_modules_directly_imported_by(name) for name in names}
    assert len(edges) > 50
    TopologicalSorter(edges).prepare()


def test_the_contracts_about_imports_hold():
    program = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout


def test_functions_have_at_most_40_lines_and_views_20():
    short = {*with_pages(), PACKAGE / "pages" / "errors.py"}
    assert len(short) > 15
    long = [
        f"{file.relative_to(ROOT)}: {node.name}"
        for file in [*modules(PACKAGE, ROOT / "tests"), *ROOT.glob("*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= (20 if file in short else 40)
    ]
    assert long == []


def test_nothing_is_patched_in_a_test():
    patching = re.compile(r"^ *(from|import) .*mock|\.(patch|setattr|setitem)\(", re.MULTILINE)
    tests = modules(ROOT / "tests")
    assert [file.name for file in tests if patching.search(file.read_text())] == []


def test_services_never_commit_and_only_the_doors_begin():
    beginning = {
        str(file.relative_to(PACKAGE))
        for file in modules(PACKAGE)
        if ".begin()" in file.read_text() or ".commit(" in file.read_text()
    }
    doors = {
        "web/context.py",
        "worker/loop.py",
        "worker/periodic_tasks.py",
        "inbound/intake.py",
        "ops/schema.py",
        "ops/backup.py",
        "ops/move.py",
        "delivery/engine.py",
        "ops/commands.py",
    }
    assert beginning <= doors
    assert [f for f in modules(PACKAGE) if ".commit(" in f.read_text()] == []


def test_no_machine_stands_in_the_repository():
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


def test_the_map_in_the_readme_is_true():
    _, _, rest = (ROOT / "README.md").read_text().partition("\n## The tree\n")
    top, _, inside = rest.partition("```")[2].partition("```")[0].partition("\nbelong_mail/\n")
    places = [line.split()[0] for line in top.splitlines() if line]
    assert len(places) > 10
    assert [place for place in places if not (ROOT / place).exists()] == []
    entries = [line.split()[0] for line in inside.splitlines() if line]
    ours = {file.name for file in PACKAGE.iterdir() if not file.name.startswith("__")}
    assert sorted(entries) == sorted(f"{name}/" if "." not in name else name for name in ours)


def test_every_email_is_one_file_and_has_a_writer():
    files = {file.name for file in EMAILS.iterdir() if file.is_file()}
    assert files == {f"{kind}.jinja" for kind in (*rooms.EMAILS, "newsletter")}


@on_sqlite
def test_every_template_compiles_and_every_page_of_them_is_shown_somewhere(
    app, visitor, worker, relay, services, keyring
):
    shown: set[str] = set()
    record_templates(app, shown)
    links = mailed_links(visitor, worker, relay, services, keyring)
    for stop in stops(services, links, reference_of(visitor)):
        visitor.client.get(path_of(stop.url), buffered=True)
    assert visitor.open("/groups/asian/join/personal").status_code == 404
    list(pressed(visitor, links))
    assert {page.status_code for page in used(visitor, worker, relay)} == {200}
    assert open_thread(visitor, services).status_code == 200
    assert visitor.client.post("/contact", headers={"Origin": "null"}).status_code == 403
    lead = sign_in(app, keyring)
    for _page in (*all_of_a_lead(lead, services), *prove_again(lead, worker, relay)):
        pass
    environment = app.jinja_env
    names = {name for name in environment.list_templates() if name.endswith(".html")}
    # Only where an identity provider is configured: tests/accounts/district opens these.
    names = {name for name in names if not name.startswith("district/")}
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


@on_sqlite
def test_every_page_is_public_by_its_mark_or_refused_to_strangers(app, visitor):
    for route in rights_table(app):
        if Access.PUBLIC not in route.marks:
            address = PART.sub("1", route.address)
            if route.method == "POST":
                assert visitor.client.post(address).status_code in {400, 403}, route
            for method in ("GET", "HEAD") if route.method == "GET" else ():
                answer = visitor.client.open(address, method=method)
                assert (answer.status_code, answer.location) == (302, "/sign-in"), route


@on_sqlite
def test_in_production_there_is_no_page_for_development(environment):
    environment |= {
        "BELONG_ENV": "production",
        "BELONG_BASE_URL": "https://belong.example.org",
        **DISTRICT,
        "BELONG_MAIL_DOMAIN": "example.org",
        "BELONG_POSTAL_ADDRESS": "1860 Lincoln St, Denver",
        "BELONG_CONTACT_INBOX": "office@example.org",
    }
    app = create_app(Config.read(environment))
    paths = {rule.rule for rule in app.url_map.iter_rules()}
    assert not [path for path in paths if path.startswith("/dev")]
    client = app.test_client(use_cookies=False)
    assert client.get("/dev/mailbox", base_url="https://belong.example.org").status_code == 404
    services: Services = app.extensions["belong"]
    services.writing.kw["bind"].dispose()


@on_sqlite
@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1"),
        ({"X-Real-IP": "127.0.0.1"}, "127.0.0.1"),
        ({"Forwarded": "for=127.0.0.1"}, "127.0.0.1"),
        ({"Via": "1.1 proxy"}, "127.0.0.1"),
        ({}, "192.0.2.7"),
        ({}, "2001:db8::7"),
        ({}, ""),
    ],
)
def test_the_mailbox_of_development_opens_on_this_machine_and_through_no_proxy(
    app, headers, address
):
    client = app.test_client(use_cookies=False)
    from_there = {"REMOTE_ADDR": address}
    for path in ("/dev/mailbox", "/dev/mailbox?since=now", "/dev/mailbox/x/html"):
        answer = client.get(path, headers=headers, environ_overrides=from_there)
        assert answer.status_code == 404
    assert client.get("/dev/mailbox").status_code == 200


@on_sqlite
def test_whom_we_do_not_know_is_refused_where_a_lead_is_let_in(app, services, keyring, visitor):
    lead = sign_in(app, keyring)
    places = list(lead_stops(app, services))
    assert len(places) >= 8
    for place in places:
        assert lead.open(place).status_code == 200, place
        assert visitor.open(place).location == "/sign-in", place


@on_both("crawl")
def test_reading_any_page_or_mailed_link_changes_nothing(
    app, visitor, worker, relay, services, keyring
):
    lead = sign_in(app, keyring)
    lead_places = list(lead_stops(app, services))
    links = mailed_links(visitor, worker, relay, services, keyring)
    places = list(stops(services, links, reference_of(visitor)))
    assert {
        rule.rule.split("/")[1]
        for rule in app.url_map.iter_rules()
        if {"token", "secret"} & rule.arguments
    } == links.keys()
    before = kept_of(services)
    for stop in places:
        for method in ("GET", "HEAD", "OPTIONS"):
            visitor.client.open(path_of(stop.url), method=method, buffered=True)
    for place in lead_places:
        for method in ("GET", "HEAD", "OPTIONS"):
            lead.client.open(place, method=method)
    assert kept_of(services) == before
