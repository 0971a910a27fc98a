"""A third language: one line of the list and a folder of translations, and everything has it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.third_language import made_up
from tests.markers import night

# The journey, and the tests of each catalog.
RUNS = (
    ["tests/core/third_language/journey.py"],
    [
        "tests/core/test_languages.py",
        "-k",
        f"further or {made_up.CODE} and (sentence or translations)",
    ],
)
ROOT = Path(__file__).resolve().parents[3]


@night("a third language")
@pytest.mark.timeout(600)
def test_a_third_language_needs_one_line_and_a_folder(tmp_path):
    """The journey is another process's: the list of languages is read once, as it starts."""
    made_up.copy_product(ROOT, tmp_path)
    before = _contents(tmp_path)
    made_up.add_language(tmp_path)
    after = _contents(tmp_path)
    changed = {file for file, content in after.items() if before.get(file) != content}
    assert changed == {
        made_up.LIST_OF_LANGUAGES,
        f"translations/{made_up.CODE}/LC_MESSAGES/messages.po",
        f"translations/{made_up.CODE}/sensitive_words.json",
    }
    for chosen in RUNS:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *chosen]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
