"""A third language: one line of the list and a folder of translations, and everything has it."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po

from belong_mail.core.i18n import forms
from tests.core.third_language.language import CODE, MARK, NAME
from tests.guards.sabotage import copied_checkout
from tests.markers import night

LIST_OF_LANGUAGES = "belong_mail/core/i18n.py"
LAST_OF_LIST = '"es": "Español"}'
SENSITIVE_WORDS = {
    "names": {"autoimmune": ["aŭtoimun*"]},
    "identifying": {
        "autoimmune": ["malsan*"],
        "lgbtq": ["samseksem*"],
        "people-with-disabilities": ["handikap*"],
    },
    "questions": ["religi*", "sekso"],
}

# The journey, and the tests of each catalog.
RUNS = (
    ["tests/core/third_language/journey.py"],
    ["tests/core/test_languages.py", "-k", f"{CODE} and (sentence or translations)"],
)


@night("a third language")
@pytest.mark.timeout(600)
def test_a_third_language_needs_one_line_and_a_folder():
    """The journey is another process's: the list of languages is read once, as it starts."""
    with copied_checkout() as copy:
        add_language(copy)
        for chosen in RUNS:
            command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *chosen]
            ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stdout + ended.stderr


def add_language(copy: Path) -> None:
    """Do what CONTRIBUTING says, and nothing else."""
    file = copy / LIST_OF_LANGUAGES
    source = file.read_text()
    assert source.count(LAST_OF_LIST) == 1
    file.write_text(
        source.replace(LAST_OF_LIST, LAST_OF_LIST.replace("}", f', "{CODE}": "{NAME}"}}'))
    )
    folder = copy / "translations" / CODE
    (folder / "LC_MESSAGES").mkdir(parents=True)
    (folder / "LC_MESSAGES" / "messages.po").write_bytes(_catalog(copy))
    (folder / "sensitive_words.json").write_text(json.dumps(SENSITIVE_WORDS))


def _catalog(copy: Path) -> bytes:
    """Translate every sentence by putting a mark before it."""
    source = copy / "translations" / "es" / "LC_MESSAGES" / "messages.po"
    with source.open("rb") as file:
        catalog = read_po(file, locale=CODE)
    for message in catalog:
        if message.id:
            said = tuple(MARK + words for words in forms(message.id))
            message.string = said if len(said) > 1 else said[0]
    translated = io.BytesIO()
    write_po(translated, catalog, omit_header=True)
    return translated.getvalue()
