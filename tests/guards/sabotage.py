"""Describe a sabotage, find where it applies, and try the suite with one."""

import ast
import compileall
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOG = Path(__file__).with_name("catalog.txt")
# Compiled files are copied along: it is as old as its source, which keeps its age.
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "var", ".*_cache", ".hypothesis")
# Pytest's exit status when tests have failed; any other says that they did not run.
RED = 1


@dataclass(frozen=True)
class Place:
    """A piece of a file: from one character to another."""

    file: Path
    begin: int
    end: int


@dataclass(frozen=True)
class Sabotage:
    """The smallest change that switches a guard off, and the test that must notice.

    `where` is a function, a class or a constant of the product, wherever that stands, or a file.
    `old` is what is replaced there, however its lines are broken.
    """

    test: str
    where: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.test} {self.where}: {self.old} → {self.new}"

    def place(self, root: Path) -> Place | None:
        """Return where the text to replace stands, if it does so exactly once."""
        scope = scope_of(root, self.where)
        if scope is None:
            return None
        text = scope.file.read_text()[scope.begin : scope.end]
        found = [each.span() for each in re.finditer(_however_broken(self.old), text)]
        if len(found) != 1:
            return None
        [(begin, end)] = found
        return Place(scope.file, scope.begin + begin, scope.begin + end)

    def sabotaged(self, place: Place) -> str:
        sound = place.file.read_text()
        return sound[: place.begin] + self.new + sound[place.end :]

    @contextmanager
    def applied(self, place: Place) -> Iterator[None]:
        sound = place.file.read_text()
        place.file.write_text(self.sabotaged(place))
        try:
            yield
        finally:
            place.file.write_text(sound)


def read_catalog() -> list[Sabotage]:
    """Read all guards: below each test, indented, what it watches."""
    found, test = [], ""
    for line in CATALOG.read_text().splitlines():
        if line.startswith("  "):
            where, _, change = line.strip().replace("⏎", "\n").partition(": ")
            old, _, new = change.partition(" →")
            found.append(Sabotage(test, where, old, new.removeprefix(" ")))
        else:
            test = f"tests/{line}"
    return found


def scope_of(root: Path, where: str) -> Place | None:
    """Return the place of a file, or of the one thing of the product that has this name."""
    file = root / where
    if file.is_file():
        return Place(file, 0, len(file.read_text()))
    found = definitions(root).get(where, [])
    return found[0] if len(found) == 1 else None


@cache
def definitions(root: Path) -> dict[str, list[Place]]:
    """Find functions, classes and constants by name: `name`, `Class.name` or `module.name`."""
    found: dict[str, list[Place]] = {}
    for file in [*root.glob("[cw]*.py"), *root.glob("belong_mail/**/*.py")]:
        text = file.read_text()
        lines = _begins_of_lines(text)
        for name, first, last in _defined(ast.parse(text), ""):
            place = Place(file, lines[first - 1], lines[last])
            found.setdefault(name, []).append(place)
            found.setdefault(f"{file.stem}.{name}", []).append(place)
    return found


def _defined(node: ast.AST, within: str) -> Iterator[tuple[str, int, int]]:
    """List what is defined: its name, its first line and its last."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            first = min([each.lineno, *(mark.lineno for mark in each.decorator_list)])
            yield within + each.name, first, each.end_lineno or first
            yield from _defined(each, f"{within}{each.name}.")
        elif isinstance(each, ast.Assign | ast.AnnAssign):
            to = each.targets[0] if isinstance(each, ast.Assign) else each.target
            if isinstance(node, ast.Module | ast.ClassDef) and isinstance(to, ast.Name):
                yield within + to.id, each.lineno, each.end_lineno or each.lineno
        else:
            yield from _defined(each, within)


def _begins_of_lines(text: str) -> list[int]:
    return [0, *accumulate(map(len, text.splitlines(keepends=True)))]


def _however_broken(old: str) -> str:
    """Write the pattern of a piece of code, wherever its lines are broken and end with a comma."""

    def pattern(token: str) -> str:
        if token in ")]}":
            return rf",?\s*\{token}"
        return rf"\b{token}\b" if re.match(r"\w", token) else re.escape(token)

    return r"\s*".join(map(pattern, re.findall(r"\w+|[^\w\s]", old)))


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """Yield a copy of the project that may be broken."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "checkout"
        shutil.copytree(ROOT, root, ignore=NOT_COPIED)
        (root / "var").mkdir()
        (root / "var" / "deploy").symlink_to(ROOT / "var" / "deploy")  # Caddy, where it was fetched
        # A sabotaged file is newer than what was compiled of it; `run` writes nothing of its own.
        compileall.compile_dir(root, quiet=1)
        yield root


def trial(root: Path, sabotage: Sabotage) -> str:
    """Run a sabotage's test with the sabotage in place; say what came of it."""
    place = sabotage.place(root)
    if place is None:
        return "does not apply any more"
    with sabotage.applied(place):
        code = run(root, (sabotage.test,)).returncode
    return "red" if code == RED else f"NOT NOTICED (pytest answered {code})"


def run(root: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests on SQLite, which is enough; those that name the other database run there."""
    is_named = all("postgresql" in test for test in tests)
    options = ("-q", "-x", "--tb=no", "--night", *(() if is_named else ("-k", "not postgresql")))
    command = [sys.executable, "-B", "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
