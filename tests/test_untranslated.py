"""No words slip past the catalogs: none bare in a template, none bare in a form or an error."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted(
    file
    for folder in ("templates", "emails")
    for file in (ROOT / folder).rglob("*.*")
    if file.suffix in {".html", ".jinja", ".txt"}
)
FORMS = sorted((ROOT / "belong_mail").rglob("*.py"))
TRANSLATED = re.compile(r"{%-?\s*trans\b.*?{%-?\s*endtrans\s*-?%}", re.DOTALL)
CLASSES = re.compile(r"{% block (?:hue|shape) %}.*?{% endblock %}|{% set \w+ %}", re.DOTALL)
JINJA = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
UNREAD = re.compile(r"<(style|script)\b.*?</\1>|<!--.*?-->", re.DOTALL)
READ_ALOUD = re.compile(r'\b(?:aria-label|title|alt|placeholder|content)="([^"]*)"')
TAG = re.compile(r"<[^>]*>")
WORD = re.compile(r"(?<![\w-])[^\W\d_]{2,}")
META = re.compile(r'<meta name="(?!description)[^>]*>')
NAMES = {"DPS", "Belong"}
SHOWN = {"ValidationError", "Invalid", "SelectChoice"}


def bare_words(source: str) -> list[str]:
    """List the words that a reader would get in the same language whatever they read."""
    text = UNREAD.sub(" ", JINJA.sub("", CLASSES.sub("", TRANSLATED.sub("", source))))
    text = META.sub(" ", text)
    aloud = " ".join(READ_ALOUD.findall(text))
    return [word for word in WORD.findall(TAG.sub(" ", text) + " " + aloud) if word not in NAMES]


def test_no_template_says_anything_that_is_not_in_the_catalogs():
    found = {file: bare_words(re.sub(r"&\w+;", " ", file.read_text())) for file in TEMPLATES}
    assert {file: words for file, words in found.items() if words} == {}


def bare_parts(source: str) -> list[str]:
    """List what an email says by its parts or its head in the same language to everyone."""
    tree = Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).parse(source)
    known = ("_", "ngettext", "page")  # a page is named by its endpoint, which no one reads
    called = [each for each in tree.find_all(nodes.Call) if is_named(each, *known)]
    apart = [*called, *tree.find_all((nodes.Compare, nodes.Filter, nodes.Keyword))]
    no_words = {id(each) for outer in apart for each in outer.find_all(nodes.Const)}
    found = [each.value for each in tree.find_all(nodes.Const) if id(each) not in no_words]
    return [words for words in found if isinstance(words, str) and WORD.search(words)]


def is_named(call: nodes.Call, *names: str) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name in names


def test_no_email_says_anything_that_is_not_in_the_catalogs():
    files = [file for file in TEMPLATES if file.suffix == ".jinja"]
    found = {file.name: bare_parts(file.read_text()) for file in files}
    assert {file: words for file, words in found.items() if words} == {}


def bare_arguments(source: str) -> Iterator[str]:
    """Find labels, descriptions, messages and errors that nobody translates."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        given = {each.arg: each.value for each in node.keywords}
        said = [given.get(word) for word in ("label", "description", "message")]
        if name in SHOWN or name.endswith("Field"):
            said += node.args[1:2] if name == "SelectChoice" else node.args[:1]
        for each in said:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def test_no_form_has_a_label_or_an_error_that_is_not_in_the_catalogs():
    found = {file.name: list(bare_arguments(file.read_text())) for file in FORMS}
    assert {name: words for name, words in found.items() if words} == {}
