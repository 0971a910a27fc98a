"""The checklist before a release: what is done, what is missing, in words."""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from belong_mail.groups.models import Group
from belong_mail.languages import marked
from belong_mail.newsletters import placeholders
from belong_mail.newsletters.models import Newsletter

QUIET = {"lgbtq", "people-with-disabilities", "autoimmune"}
"""Groups whose name in a subject is not only warned of but refused."""
LINK = re.compile(r"\[([^\]\n]{1,300})\]\(\s*<?(https?://[^\s)>]{1,2000})")
HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})", re.IGNORECASE)
PICTURE = re.compile(r"!\[(\s*)\]\(")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist: words to be translated, and what is named in them."""

    words: str
    named: str = ""
    is_refusal: bool = False


def check(newsletter: Newsletter) -> list[Finding]:
    """Look an issue through before it goes out."""
    group = newsletter.group
    found = []
    if not newsletter.subject.strip():
        found.append(Finding(marked("A subject is missing."), is_refusal=True))
    if not newsletter.text.strip():
        found.append(Finding(marked("There is no text yet."), is_refusal=True))
    if bool(newsletter.subject_es.strip()) != bool(newsletter.text_es.strip()):
        words = marked("The Spanish version has a subject or a text, but not both.")
        found.append(Finding(words, is_refusal=True))
    subjects = (newsletter.subject, newsletter.subject_es)
    found += [_named(group) for subject in subjects if names(subject, group)]
    for text in (newsletter.subject, newsletter.text, newsletter.subject_es, newsletter.text_es):
        found += [_unknown(word) for word in placeholders.unknown(text)]
    for text in (newsletter.text, newsletter.text_es):
        found += [_misleading(host) for host in misleading_links(text)]
        if PICTURE.search(text):
            words = marked("A picture has no description for people who cannot see it.")
            found.append(Finding(words, is_refusal=True))
    return found


def names(subject: str, group: Group) -> bool:
    """Tell whether a subject names the group, as a lock screen would show it."""
    plain = _plain(subject)
    words = {_plain(group.name), _plain(group.slug.replace("-", " "))}
    return any(word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain) for word in words)


def misleading_links(text: str) -> list[str]:
    """List the hosts that a link's words name while it leads to another."""
    found = []
    for words, target in LINK.findall(text):
        shown = HOST.search(words)
        host = (urlsplit(target).hostname or "").lower()
        if shown and not f".{host}".endswith(f".{shown[1].lower().removeprefix('www.')}"):
            found.append(shown[1])
    return found


def _named(group: Group) -> Finding:
    words = marked("The subject names the group: everybody who sees the reader’s screen sees it.")
    return Finding(words, is_refusal=group.slug in QUIET)


def _unknown(word: str) -> Finding:
    words = marked("“%(named)s” in braces is nothing that we can fill in.")
    return Finding(words, word, is_refusal=True)


def _misleading(host: str) -> Finding:
    return Finding(marked("A link says “%(named)s” and leads somewhere else."), host)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each)).strip()
