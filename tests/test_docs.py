"""The documents: every path, command, link and name in them exists; the settings are all there."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from pkgutil import resolve_name

import click
import pytest

import dev
from belong_mail.monitoring import checks
from belong_mail.ops import cli
from tests.relays import signing

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "belong_mail"
DOCUMENTS = sorted(
    file.relative_to(ROOT).as_posix()
    for file in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        ROOT / "tests" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
    )
)
TOP = {file.name for file in ROOT.iterdir()}
ROOMS = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
ANY_NAME = re.compile(r"\b(ROOM|KIND|FOLDER|NAME|STEP|LANGUAGE)\b")
CALL = re.compile(r"(?:flask --app wsgi|^belong|belong-worker belong) ([a-z]+\b[^|&;#\n]*)")
each_document = pytest.mark.parametrize("document", DOCUMENTS)


def text_of(document: str) -> str:
    return (ROOT / document).read_text()


def prose_of(document: str) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)


def blocks_of(document: str) -> Iterator[str]:
    """Find the lines of shell commands in a document."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", text_of(document), re.MULTILINE | re.DOTALL):
        yield from block.splitlines()


def quoted(document: str) -> list[str]:
    """List what stands in backticks."""
    prose = prose_of(document)
    assert all(paragraph.count("`") % 2 == 0 for paragraph in prose.split("\n\n"))
    return [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", prose)]


@cache
def file_names() -> set[str]:
    """Name all files of the repository, without their folders."""
    folders = [ROOT / name for name in TOP if not name.startswith(".") and name != "var"]
    found = {file.name for folder in folders for file in folder.rglob("*")}
    return found | TOP


def exists(path: str) -> bool:
    """Tell whether a path exists; ROOM, KIND and so on stand for any name."""
    place, _, test = path.partition("::")
    found = list(ROOT.glob(ANY_NAME.sub("*", place.rstrip("/"))))
    return bool(found) and (not test or f"def {test}(" in found[0].read_text())


def paths_in(words: str) -> Iterator[str]:
    """Find the paths of the repository in what stands in backticks."""
    for word in words.split():
        is_ours = word.split("/")[0] in TOP and not word.startswith(("var/", ".venv/"))
        if is_ours and ("/" in word or word in TOP or "." in word):
            yield word


@each_document
def test_paths_exist(document: str) -> None:
    named = {path for words in quoted(document) for path in paths_in(words)}
    named |= set(re.findall(r"\btests/[\w/]+\.py\b", text_of(document)))
    assert {path for path in named if not exists(path)} == set()


@each_document
def test_files_that_are_named_without_a_folder_exist(document: str) -> None:
    names = {word for word in quoted(document) if re.fullmatch(r"[\w-]+\.(py|md|css|toml)", word)}
    assert names - file_names() == set()


def slugs(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@each_document
def test_links_between_documents_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(document)):
        if "://" in target or target.startswith("/"):
            continue
        place, _, anchor = target.partition("#")
        file = ((ROOT / document).parent / place).resolve() if place else ROOT / document
        assert file.exists(), target
        if anchor:
            assert anchor in slugs(file.relative_to(ROOT).as_posix()), target


def operator_commands() -> dict[str, click.Command]:
    """Return the commands of `flask --app wsgi`, by name."""
    return {name: cli.load(name) for name in cli.ENTRIES}


def complaint_about(words: list[str]) -> str:
    """Say what is wrong with an operator's command; nothing if it exists with its options."""
    command = operator_commands().get(words[0])
    if command is None:
        return f"no command {words[0]}"
    if isinstance(command, click.Group) and len(words) > 1 and re.fullmatch("[a-z-]+", words[1]):
        command = command.commands.get(words[1])
        if command is None:
            return f"no command {' '.join(words[:2])}"
    options = {"--help"} | {name for each in command.params for name in each.opts}
    unknown = {word for word in words if word.startswith("--")} - options
    return f"{' '.join(words)}: no {', '.join(sorted(unknown))}" if unknown else ""


def named_commands(document: str) -> Iterator[list[str]]:
    """Find the operator's commands: after `flask --app wsgi` or `belong`, or by their own name."""
    for line in (*blocks_of(document), *quoted(document)):
        for call in CALL.findall(line):
            yield re.findall(r"--[a-z-]+|[\w.]+", call)
    for words in map(str.split, quoted(document)):
        known = operator_commands().get(words[0])
        if isinstance(known, click.Group) and len(words) > 1 and words[1].isalpha():
            yield re.findall(r"--[a-z-]+|[\w.]+", " ".join(words))


@each_document
def test_commands_of_operators_exist_with_their_options(document: str) -> None:
    complaints = [complaint_about(words) for words in named_commands(document)]
    assert [each for each in complaints if each] == []


@each_document
def test_commands_of_developers_exist(document: str) -> None:
    [named] = [each for each in dev.commands()._actions if each.dest == "command" or each.choices]
    for line in (*blocks_of(document), *quoted(document)):
        for command, rest in re.findall(r"\bdev\.py ([a-z]+)([^#\n]*)", line):
            assert command in (named.choices or ()), line
            if command == "bench" and rest.split():
                assert (ROOT / "tests" / "bench" / f"{rest.split()[0]}.py").exists(), line
            assert [path for path in paths_in(rest) if not exists(path)] == [], line
        for module in re.findall(r"python -m (tests[\w.]*)", line):
            place = ROOT / module.replace(".", "/")
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), line


def is_defined(dotted: str) -> bool:
    """Tell whether `room.module.Name`, or `room.module`, is in the package."""
    holder, _, name = f"belong_mail.{dotted}".rpartition(".")
    with suppress(ImportError, AttributeError):
        found = resolve_name(holder)
        if hasattr(found, name) or name in getattr(found, "__annotations__", ()):
            return True
        return bool(resolve_name(f"{holder}.{name}"))
    return False


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", *(f"docs/{name}.md" for name in (
        "architecture", "decisions", "glossary"))],
)  # fmt: skip
def test_names_of_functions_and_classes_exist(document: str) -> None:
    dotted = {word for word in quoted(document) if re.fullmatch(r"[a-z]\w*(\.\w+)+", word)}
    ours = {word for word in dotted if word.split(".")[0] in ROOMS | {"app"}}
    assert {word for word in ours - TOP if not is_defined(word)} == set()


def test_readme_says_truly_where_things_are_changed() -> None:
    [table] = re.findall(
        r"^## Where do I change …\n(.*?)^## ", text_of("README.md"), re.MULTILINE | re.DOTALL
    )
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20
    for row in rows:
        for part in row.split(";"):
            path, *names = re.findall(r"`([^`]+)`", part)
            places = [path, *(name for name in names if "/" in name)]
            code = "".join((ROOT / each).read_text() for each in places if "." in each)
            missing = [name for name in names if "/" not in name and name not in code]
            assert missing == [], row


def test_map_of_the_tests_is_whole() -> None:
    table = set(re.findall(r"^\| `(tests/[^`]+)`", text_of("tests/README.md"), re.MULTILINE))
    files = {f"tests/{file.name}" for file in (ROOT / "tests").glob("test_*.py")}
    folders = {f"tests/{folder.parent.name}/" for folder in (ROOT / "tests").glob("*/*.py")}
    assert table == files | folders


def test_tests_that_the_threat_model_quotes_exist() -> None:
    """A sentence in its last column is the name of a test; “…” stands for any words."""
    code = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"def test_(\w+)", code)
    rows = [line.split("|") for line in text_of("docs/threats.md").splitlines()]
    shown = [quote for row in rows if len(row) > 4 for quote in re.findall("“(.+?)”", row[-2])]
    assert len(shown) > 10
    for quote in shown:
        words = quote.lower().replace("’", "")
        parts = [re.sub("[^a-z0-9]+", "_", part).strip("_") for part in words.split("…")]
        assert any(all(part in name for part in parts) for name in names), quote


def test_headings_that_the_program_sends_operators_to_exist() -> None:
    said = " ".join(" ".join(each.todo.split()) for each in checks.CHECKS)
    told = re.findall("See “(.+?)” in the operators’ guide", said)
    pages = [text_of(each) for each in DOCUMENTS if each.startswith("docs/operators/")]
    there = set(re.findall(r"^#+ (.+)$", "\n".join(pages), re.MULTILINE))
    assert told
    assert set(told) <= there


def test_the_changelog_has_one_line_a_change_and_says_each_once() -> None:
    _head, *versions = re.split(r"^## \[.+$", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    assert len(versions) >= 2
    for lines in ([line for line in each.splitlines() if line] for each in versions):
        assert [line for line in lines if not line.startswith(("### ", "- "))] == []
        assert [line for line in lines if len(line.split()) > 31] == []
        assert len(lines) == len(set(lines))


def test_the_guide_signs_as_the_tests_of_relays_do() -> None:
    guide = (ROOT / "docs" / "operators" / "relays.md").read_text()
    [lines] = re.findall(r"```\n((?: *\w+ .*\n)*? *SignHeaders .*\n) *```", guide)
    ours = signing.OPENDKIM.replace("{signed}", signing.ALL)
    assert {line.strip() for line in lines.splitlines()} <= set(ours.splitlines())
