"""Add a language by the recipe: one line of the list, and one folder of translations."""

import io
import json
import shutil
from pathlib import Path

from babel.messages.pofile import read_po, write_po

from tests.words import forms

CODE, NAME = "eo", "Esperanto"
LIST_OF_LANGUAGES = "belong_mail/core/i18n.py"
LAST_OF_LIST = '"es": "Español"}'
COPIED = ("belong_mail", "templates", "emails", "translations", "tests")
# Before each sentence, so that a page shows which language it is from.
MARK = "Ĵ "
SENSITIVE_WORDS = {
    "names": {"autoimmune": ["aŭtoimun*"]},
    "identifying": {
        "autoimmune": ["malsan*"],
        "lgbtq": ["samseksem*"],
        "people-with-disabilities": ["handikap*"],
    },
    "questions": ["religi*", "sekso"],
}


def copy_product(root: Path, copy: Path) -> None:
    """Copy what the product and its tests are made of, and what is compiled of that."""
    ignored = shutil.ignore_patterns("schemas", "samples", "relays")
    for name in COPIED:
        shutil.copytree(root / name, copy / name, ignore=ignored)
    for file in (*root.glob("*.py"), root / "pyproject.toml"):
        shutil.copy(file, copy / file.name)


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
