"""The house terms: words that no page, email or command says, each with what to say instead."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import click

from belong_mail.groups import seeds
from belong_mail.ops import cli, hold
from tests.processes import ROOT

# Left out before words are judged: placeholders, tags, web addresses, and names of commands.
NOT_WORDS = re.compile(r"%\(\w+\)\w|\{+\s*\w+\s*\}+|<[^>]+>|https?://\S*|`[^`]*`|\[[^\]]*\]\(")

TERMS = {
    "en": {
        r"\bmail(s|ed|ing)?\b": "email",
        r"\b(some|no|every|any)body\b": "someone, no one, everyone, anyone",
        r"\bpress(es|ed|ing)?\b|\btap(s|ped|ping)?\b": "select",
        r"\bissues?\b": "newsletter",
        r"\breleas(e|es|ed|ing)\b": "send, schedule",
        r"\bleads?\b": "group leader",
        r"\b(stands?|stood) (in|at|on|above|below|beside|nowhere|there|apart|to)\b": "is, appears",
        r"(^|[.!?:] )who (joins?|leaves?|left|belongs?|gets?|got|has|have|writes?|wants?|waits?"
        r"|asks?|asked|answers?|pauses?|paused|reads?)\b(?![^.!]*\?)": "People who …",
        r"\bleaves? (me|you|us) alone\b|\bleft alone\b": "Don’t email me again",
        r"(?-i:\b\d{1,2}(:\d\d)? ?[ap]m\b)|\b(0\d|1[3-9]|2[0-3]):\d\d\b": "4:00 PM",
        r"\bcancell(ed|ing)\b|\b(colour|favourite|centre|behaviour|grey|programme)s?\b"
        r"|\b(organis|recognis|normalis|apologis|sanitis|realis)(e|es|ed|ing|ation|er)\b": (
            "US spelling"
        ),
        "[«»]": "“ ”",
    },
    "es": {
        r"\bcartel(es)?\b": "póster",
        r"\bpuls(a|as|ar|e|en|an|ó|ado|aste|ando)\b|\btoc(a|as|ar|an|ó|ado|ando)\b": "presiona",
        r"\bmiembros?\b": "integrantes, formas parte de",
        r"\bañad(e|es|en|ir|ido|ida|iste|ió|imos|iendo|a|an)\b": "agregar",
        r"\bdirecci(ón|ones)\b": "correo, correo electrónico",
        r"\bquienes lideran\b|\bquien lidera\b": "el equipo que lidera el grupo",
        r"\bemplead[oa]s?\b": "personal",
        r"\b(el|un|del|al|los|unos|otros?) líder(es)?\b": "las personas que lideran el grupo",
        r"\bbienvenidos?\b|\binvitados\b|\binteresados\b|\bcompañeros\b|\busuarios\b": (
            "sin masculino por defecto"
        ),
        r"\busted\b|\bvosotr[oa]s\b|\bvuestr[oa]s?\b|\bordenador\b|\bratón\b": "tú",
        "[«»]": "“ ”",
    },
}

# Fine words that look like a term, left out before the others are looked for.
FINE = {
    "en": (
        r"\bmail (server|relay|domain|system|program)s?\b|\bBelong Mail\b",
        r"\b(I|you|we|they|who|that|people|longer|don’t|not|may|can|already) leads?\b",
        r"\bto lead\b|\bleads? (a|an|the|this|that|your|one|each|any|groups?|to)\b",
        r"\bleads? (nowhere|somewhere)\b",
        r"\brelease (the|a) hold\b|\brelease (this one|each host)\b|\buntil you release it\b",
    ),
    "es": (
        r"\bdirecci(ón|ones) (de correo|electrónicas?|IP|de internet|web|postal|general)\b",
        r"\bcalendario a esta dirección\b|\bla dirección sea antigua\b",
        r"\bdirección que (empie[cz]|comien[cz])[ea] con\b",
    ),
}


def faults(text: str, language) -> list[str]:
    """List the terms in a text that the house does not say, each with what it says instead."""
    words = NOT_WORDS.sub(" ", text)
    for name in _group_names():
        words = words.replace(name, " ")
    for fine in FINE[language]:
        words = re.sub(fine, " ", words, flags=re.IGNORECASE)
    found = ((re.search(term, words, re.IGNORECASE), use) for term, use in TERMS[language].items())
    return [f"“{match[0].strip()}” → {use}" for match, use in found if match]


@cache
def _group_names() -> tuple[str, ...]:
    return tuple(sorted((each["name"] for each in seeds.GROUPS), key=len, reverse=True))


def seeded(language) -> Iterator[str]:
    """Find all words of a language that the groups of a new database begin with."""
    yield from _words_of([seeds.GROUPS], language)


def _words_of(value: Any, language) -> Iterator[str]:
    """Find the texts of a language in whatever holds texts by language."""
    if isinstance(value, Mapping) and "en" in value:
        said = value.get(language, ())
        yield from (said,) if isinstance(said, str) else said
        return
    elif isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return
    for each in value:
        yield from _words_of(each, language)


def operators_words() -> Iterator[str]:
    """Find what operators read: help texts of commands and settings, and reasons of a hold."""
    for name, (_place, words) in cli.ENTRIES.items():
        yield from _help_of(cli.load(name))
        yield words
    said = re.findall(r"(?:^# .*\n)+", (ROOT / ".env.example").read_text(), re.MULTILINE)
    yield from (each.replace("\n# ", " ").removeprefix("# ") for each in said)
    yield from hold.REASONS.values()


def _help_of(command: click.Command) -> Iterator[str]:
    yield command.help or ""
    for each in command.params:
        yield from filter(None, (getattr(each, "help", None),))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _help_of(below)
