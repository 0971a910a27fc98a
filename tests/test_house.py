"""The house's own rules: what neither contracts nor linters can check."""

import ast
import os
import re
from collections.abc import Iterator
from configparser import RawConfigParser
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit

import grimp

from belong_mail.core.email_templates import EMAILS
from belong_mail.ops import rooms

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


def test_no_sentence_in_the_code_begins_with_a_clause():
    """Nobody reads “What is left is deleted.” once; “Delete the rest.” is as short."""
    clause, found = re.compile(r"(Who|Whom|Whose|What|Of|That)\b"), []
    for file in modules(PACKAGE):
        text = file.read_text()
        prose = re.findall(r"^ *# (.*)", text, re.MULTILINE)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                prose.append(ast.get_docstring(node) or "")
        sentences = re.split(r"(?<=[.:;])\s+|\n", "\n".join(prose))
        found += [(file.name, sentence) for sentence in sentences if clause.match(sentence)]
    assert found == []


def test_no_template_takes_words_for_markup():
    """Markup stands in templates and in our own sentences, never in a value."""
    for file in (*ROOT.glob("templates/**/*.html"), *ROOT.glob("emails/**/*.*")):
        found = re.findall(r"""[^"'\s]\s*\|\s*safe\b|autoescape""", file.read_text())
        assert not found, file


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
