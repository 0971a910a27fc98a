"""What a sabotage is, and how the suite is tried with one."""

import compileall
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What is compiled is copied along: it is as old as its source, which keeps its age.
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "var", ".*_cache", ".hypothesis")
# What pytest answers when tests have failed; anything else says that they did not run.
RED = 1


@dataclass(frozen=True)
class Sabotage:
    """The smallest change that switches a guard off, and the tests that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applies(self, root: Path) -> bool:
        """Tell whether the text to replace stands in the file exactly once."""
        return (root / self.file).read_text().count(self.old) == 1

    @contextmanager
    def applied(self, root: Path) -> Iterator[None]:
        file = root / self.file
        sound = file.read_text()
        file.write_text(sound.replace(self.old, self.new))
        try:
            yield
        finally:
            file.write_text(sound)


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
    """Run a sabotage's tests with the sabotage in place; say what came of it."""
    if not sabotage.applies(root):
        return "does not apply any more"
    with sabotage.applied(root):
        code = run(root, sabotage.tests).returncode
    return "red" if code == RED else f"NOT NOTICED (pytest answered {code})"


def run(root: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests on SQLite, which is enough; those that name the other database run there."""
    is_named = all("postgresql" in test for test in tests)
    options = ("-q", "-x", "--tb=no", "--night", *(() if is_named else ("-k", "not postgresql")))
    command = [sys.executable, "-B", "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
