"""The documents: every path, command, link and name in them exists; the threats’ tests too."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name

import click
import pytest

import dev
from belong_mail.core import retention
from belong_mail.monitoring import checks
from belong_mail.ops import cli
from tests.relays import signing

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "belong_mail"
DOCUMENTS = {
    file.relative_to(ROOT).as_posix(): file.read_text()
    for file in (*ROOT.glob("*.md"), ROOT / "tests" / "README.md", *(ROOT / "docs").rglob("*.md"))
}
TOP = {file.name for file in ROOT.iterdir()}
ROOMS = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
ANY_NAME = re.compile(r"\b(ROOM|KIND|FOLDER|NAME|STEP|LANGUAGE)\b")
CALL = re.compile(r"(?:flask --app wsgi|^belong|belong-worker belong) ([a-z]+\b[^|&;#\n]*)")
each_document = pytest.mark.parametrize("document", DOCUMENTS)


def prose_of(document: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", DOCUMENTS[document], flags=re.MULTILINE | re.DOTALL)


def quoted(document: str) -> list[str]:
    return [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", prose_of(document))]


def commands_of(document: str) -> Iterator[str]:
    """Find lines of blocks of shell, and what stands in backticks."""
    for block in re.findall(
        r"^ *```sh\n(.*?)^ *```", DOCUMENTS[document], re.MULTILINE | re.DOTALL
    ):
        yield from block.splitlines()
    yield from quoted(document)


def exists(path: str) -> bool:
    """Tell whether a path exists; ROOM, KIND and so on stand for any name."""
    return any(ROOT.glob(ANY_NAME.sub("*", path.rstrip("/"))))


def paths_in(words: str) -> Iterator[str]:
    """Find the paths of the repository in what stands in backticks."""
    for word in words.split():
        is_ours = word.split("/")[0] in TOP and not word.startswith(("var/", ".venv/"))
        if is_ours and ("/" in word or word in TOP or "." in word):
            yield word.partition("::")[0]


@each_document
def test_paths_exist(document):
    named = {path for words in quoted(document) for path in paths_in(words)}
    named |= set(re.findall(r"\btests/[\w/]+\.py\b", DOCUMENTS[document]))
    short = re.findall(r"(?<![\w/])((?:[a-z_]+/)+test_\w+)\b(?!\.py)", DOCUMENTS[document])
    named |= {f"tests/{each}.py" for each in short}
    assert {path for path in named if not exists(path)} == set()


# Where documents and the page on privacy promise for how many days something is kept.
KEPT = {
    "docs/counsel.md": {
        "for {} days, tied to the membership": retention.COPY_AGE,
        "until {} days after they were emailed": retention.DELIVERY_AGE,
    },
    "docs/leads.md": {"canceled are deleted after {} days": retention.MEETING_AGE},
    "docs/office.md": {
        "deleted {} days after its last message": retention.THREAD_MAX_AGE,
        "**Bring them back**: for {} days": retention.ENDED_AGE,
    },
    "docs/operators/watch.md": {
        "no one confirmed | {} days": retention.PENDING_CONFIRMATION_AGE,
        "the numbers of the file, {} days": retention.IMPORT_AGE,
        "is queued; otherwise after {} days": retention.WAITLIST_AGE,
        "| a membership | {} days": retention.ENDED_AGE,
        "record | {} days": retention.DELIVERY_AGE,
        "each copy | {} days": retention.COPY_AGE,
        "another is suggested; otherwise after {} days": retention.ADDRESS_CHANGE_AGE,
        "the rest after {} days": retention.ADDRESS_CHANGE_AGE,
        "group leaders | {} days": retention.DELIVERY_AGE,
        "by a keyed hash: {} days": retention.INBOUND_DIGEST_AGE,
        "was reminded of one | {} days": retention.MEETING_AGE,
        "it was canceled; {} days": retention.REMINDER_AGE,
        "and answers | {} days": retention.THREAD_MAX_AGE,
        "could not be read | {} days": retention.UNREADABLE_AGE,
    },
    "templates/directory/privacy.html": {
        'Deleted after {} days.")': retention.PENDING_CONFIRMATION_AGE,
        "or after {} days if we couldn’t ask": retention.IMPORT_AGE,
        "deleted {} days after you leave": retention.ENDED_AGE,
        "Deleted after {} days. For a newsletter": retention.DELIVERY_AGE,
        "Deleted here {} days after we emailed": retention.DELIVERY_AGE,
        "or {} days if you don’t confirm": retention.ADDRESS_CHANGE_AGE,
        "Deleted here {} days after the last message": retention.THREAD_MAX_AGE,
    },
}


@pytest.mark.parametrize("document", KEPT)
def test_what_is_promised_to_be_deleted_is_deleted_then(document):
    text = " ".join((ROOT / document).read_text().split())
    for words, age in KEPT[document].items():
        assert words.format(age.days) in text


def slugs(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@each_document
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(document)):
        if "://" in target or target.startswith("/"):
            continue
        place, _, anchor = target.partition("#")
        file = ((ROOT / document).parent / place).resolve() if place else ROOT / document
        assert file.exists(), target
        if anchor:
            assert anchor in slugs(file.relative_to(ROOT).as_posix()), target


def complaint_about(words: list[str]) -> str:
    """Say what is wrong with an operator's command; nothing if it exists with its options."""
    if words[0] not in cli.ENTRIES:
        return f"no command {words[0]}"
    command = cli.load(words[0])
    if isinstance(command, click.Group) and len(words) > 1 and re.fullmatch("[a-z-]+", words[1]):
        if words[1] not in command.commands:
            return f"no command {' '.join(words[:2])}"
        command = command.commands[words[1]]
    options = {"--help"} | {name for each in command.params for name in each.opts}
    unknown = {word for word in words if word.startswith("--")} - options
    return f"{' '.join(words)}: no {', '.join(sorted(unknown))}" if unknown else ""


def named_commands(document: str) -> Iterator[list[str]]:
    """Find the operator's commands: after `flask --app wsgi` or `belong`, or by their own name."""
    for line in commands_of(document):
        for call in CALL.findall(line):
            yield re.findall(r"--[a-z-]+|[\w.]+", call)
    for words in map(str.split, quoted(document)):
        is_group = words[0] in cli.ENTRIES and isinstance(cli.load(words[0]), click.Group)
        if is_group and len(words) > 1 and words[1].isalpha():
            yield re.findall(r"--[a-z-]+|[\w.]+", " ".join(words))


@each_document
def test_commands_of_operators_exist_with_their_options(document):
    complaints = [complaint_about(words) for words in named_commands(document)]
    assert [each for each in complaints if each] == []


@each_document
def test_commands_of_developers_exist(document):
    [named] = [each for each in dev.commands()._actions if each.dest == "command" or each.choices]
    for line in commands_of(document):
        for command in re.findall(r"\bdev\.py ([a-z]+)", line):
            assert command in (named.choices or ()), line
        for module in re.findall(r"python -m (tests[\w.]*)", line):
            place = module.replace(".", "/")
            assert exists(f"{place}.py") or exists(f"{place}/__main__.py"), line


def is_defined(dotted: str) -> bool:
    """Tell whether `room.module.Name`, or `room.module`, is in the package."""
    holder, _, name = f"belong_mail.{dotted}".rpartition(".")
    with suppress(ImportError, AttributeError):
        found = resolve_name(holder)
        if hasattr(found, name) or name in getattr(found, "__annotations__", ()):
            return True
        return bool(resolve_name(f"{holder}.{name}"))
    return False


@pytest.mark.parametrize("name", ["architecture", "decisions", "glossary"])
def test_names_of_functions_and_classes_exist(name):
    words = quoted(f"docs/{name}.md")
    dotted = {word for word in words if re.fullmatch(r"[a-z]\w*(\.\w+)+", word)} - TOP
    ours = {word for word in dotted if word.split(".")[0] in ROOMS | {"app"}}
    assert {word for word in ours if not is_defined(word)} == set()


def test_tests_that_the_threat_model_quotes_exist():
    """A sentence in its last column is the name of a test; “…” stands for any words."""
    code = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"def test_(\w+)", code)
    rows = [line.split("|") for line in DOCUMENTS["docs/threats.md"].splitlines()]
    shown = [quote for row in rows if len(row) > 4 for quote in re.findall("“(.+?)”", row[-2])]
    assert len(shown) > 10
    for quote in shown:
        words = quote.lower().replace("’", "")
        parts = [re.sub("[^a-z0-9]+", "_", part).strip("_") for part in words.split("…")]
        assert any(all(part in name for part in parts) for name in names), quote


def test_headings_that_the_program_sends_operators_to_exist():
    said = " ".join(" ".join(each.todo.split()) for each in checks.CHECKS)
    told = re.findall("See “(.+?)” in the operators’ guide", said)
    pages = [text for name, text in DOCUMENTS.items() if name.startswith("docs/operators/")]
    assert told
    assert set(told) <= set(re.findall(r"^#+ (.+)$", "\n".join(pages), re.MULTILINE))


def test_alerts_that_documents_name_are_emailed():
    said = " ".join(each.wrong for each in checks.CHECKS if each.emails)
    told = re.findall(r"alert\s“(.+?)”", "\n".join(DOCUMENTS.values()))
    assert told
    assert [each for each in told if each not in said] == []


def test_the_guide_signs_as_the_tests_of_relays_do():
    guide = DOCUMENTS["docs/operators/relays.md"]
    [lines] = re.findall(r"```\n((?: *\w+ .*\n)*? *SignHeaders .*\n) *```", guide)
    ours = signing.OPENDKIM.replace("{signed}", signing.ALL)
    assert {line.strip() for line in lines.splitlines()} <= set(ours.splitlines())
    [action] = re.findall(r"milter_default_action = \w+", guide)
    assert action in signing.INTO_DOVECOT.splitlines()
