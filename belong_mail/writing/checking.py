"""The checklist before a release: what is missing or doubtful, in words."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from belong_mail import languages
from belong_mail.groups.models import QUIET, Group
from belong_mail.languages import marked
from belong_mail.mail import outline
from belong_mail.newsletters import placeholders
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.rendering import Words, render, sample
from belong_mail.outbox.rendering import Renderer

HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})", re.IGNORECASE)
MAX_HTML = 100_000
"""Octets; beyond 102 KB Gmail cuts the end off, and with it the link to leave."""
MAX_MESSAGE = 5_000_000
"""Octets of a whole message, pictures and all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist: words to be translated, and what is named in them."""

    words: str
    named: str = ""
    is_refusal: bool = False


def check(issue: Newsletter, renderer: Renderer) -> list[Finding]:
    """Look an issue through before it goes out."""
    texts = (issue.text, issue.text_es)
    subjects = (issue.subject, issue.subject_es)
    return [
        *_missing(issue),
        *(_named(issue.group) for subject in subjects if names(subject, issue.group)),
        *(_unknown(word) for words in subjects + texts for word in placeholders.unknown(words)),
        *(_misleading(host) for text in texts for host in misleading_links(text)),
        *_pictures(issue),
        *_sizes(issue, renderer),
    ]


def names(subject: str, group: Group) -> bool:
    """Tell whether a subject names the group, as a lock screen would show it."""
    plain = _plain(subject)
    words = {_plain(group.name), _plain(group.slug.replace("-", " "))}
    return any(word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain) for word in words)


def misleading_links(text: str) -> list[str]:
    """List the hosts that a link's words name while it leads to another."""
    found = []
    for target, words in outline.links(text):
        shown = HOST.search(words)
        host = _web_host(target)
        if shown and host and not f".{host}".endswith(f".{shown[1].lower().removeprefix('www.')}"):
            found.append(shown[1])
    return found


def _missing(issue: Newsletter) -> Iterator[Finding]:
    if not issue.subject.strip():
        yield Finding(marked("A subject is missing."), is_refusal=True)
    if not issue.text.strip():
        yield Finding(marked("There is no text yet."), is_refusal=True)
    if bool(issue.subject_es.strip()) != bool(issue.text_es.strip()):
        words = marked("The Spanish version has a subject or a text, but not both.")
        yield Finding(words, is_refusal=True)


def _pictures(issue: Newsletter) -> Iterator[Finding]:
    ours = {f"picture:{image.public_id}": image.description for image in issue.images}
    shown = [*outline.images(issue.text), *outline.images(issue.text_es)]
    targets = {target for target, _words in shown}
    if not all(words.strip() for _target, words in shown):
        words = marked("A picture has no description for people who cannot see it.")
        yield Finding(words, is_refusal=True)
    if any(each.startswith("picture:") for each in targets - ours.keys()):
        words = marked("The text shows a picture that is not among those of this issue.")
        yield Finding(words, is_refusal=True)
    if not all(each.startswith("picture:") for each in targets):
        yield Finding(marked("A picture from another website is left out: add it to this issue."))
    for target in ours.keys() - targets:
        yield Finding(marked("The picture “%(named)s” stands nowhere in the text."), ours[target])


def _sizes(issue: Newsletter, renderer: Renderer) -> Iterator[Finding]:
    """Measure what goes out in each language that the issue is written in."""
    words = Words(issue.subject, issue.text, issue.subject_es, issue.text_es)
    written = {words.of(language)[2]: language for language in languages.NAMES if issue.text}
    for language in written.values():
        rendered = render(renderer, issue.group, words, language, issue.images)
        if len(rendered.html.encode()) > MAX_HTML:
            said = marked("The text is so long that Gmail would cut its end off. Shorten it.")
            yield Finding(said, is_refusal=True)
        if sample(rendered, issue.images).size > MAX_MESSAGE:
            said = marked("With its pictures the mail is too large for many mailboxes.")
            yield Finding(said, is_refusal=True)


def _named(group: Group) -> Finding:
    words = marked("The subject names the group: everybody who sees the reader’s screen sees it.")
    return Finding(words, is_refusal=group.slug in QUIET)


def _unknown(word: str) -> Finding:
    words = marked("“%(named)s” in braces is nothing that we can fill in.")
    return Finding(words, word, is_refusal=True)


def _misleading(host: str) -> Finding:
    return Finding(marked("A link says “%(named)s” and leads somewhere else."), host)


def _web_host(url: str) -> str:
    """Return the host of a web address; for any other target nothing."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower() if parts.scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each)).strip()
