"""Check a finished message as a mail program shows it: headers, links, personal words.

`mail.message.markdown` and our templates restrict the HTML elements.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from enum import StrEnum
from html import unescape
from html.parser import HTMLParser
from typing import Final, NamedTuple
from unicodedata import category, normalize
from urllib.parse import SplitResult, unquote, urlsplit

from belong_mail.mail.message.template import MessageTemplate


class Rule(StrEnum):
    """The kinds of problems."""

    # A header, a file name or the preheader identifies the group.
    HEADER = "header"
    # A link that is neither ours nor typed by a leader, or whose text names another site.
    LINK = "link"
    # A link through a site that records who follows it.
    REDIRECT = "redirect"
    # Anything that differs between readers, besides the greeting and our own links.
    PERSONAL = "personal"


class Problem(NamedTuple):
    """A problem, and the words that show it."""

    rule: Rule
    named: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """The links that a message may have, and how to recognize the group's words."""

    # The base URL of our site.
    root: str
    # Returns the words in a header of this name that identify the group, or "".
    tells: Callable[[str, str], str]
    # Link targets that the leader typed; None: any.
    targets: frozenset[str] | None = None


# Placeholder values of slots while a message is checked.
GREETING: Final = "Zqgreetingzq"
TOKEN: Final = "Zqtokenzq"  # noqa: S105 - it opens nothing
READER: Final = "zqreaderzq@example.org"
# How a problem names each of them.
_OWN: Final = {READER: "to", GREETING: "{first_name}", TOKEN: "token"}
MESSAGE_ID: Final = f"<{'0' * 20}@example.org>"
_DATE: Final = "Thu, 01 Jan 1970 00:00:00 +0000"
_SAMPLES: Final = {
    "to": READER, "date": _DATE, "message_id": MESSAGE_ID, "first_name": GREETING,
    "leave": TOKEN, "one_click": TOKEN, "leave_address": f"{TOKEN}@example.org",
}  # fmt: skip

# Random ids in hexadecimal, base 32 or base 64, which may contain a word by chance.
_RANDOM_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
_ID_FIELDS: Final = frozenset(("message-id", "list-id", "list-unsubscribe", "content-id"))

_CONSTANT_FIELDS: Final = frozenset((
    ("mime-version", "1.0"), ("content-transfer-encoding", "base64"),
    ("content-transfer-encoding", "quoted-printable"), ("precedence", "list"),
    ("list-post", "NO"), ("list-unsubscribe-post", "List-Unsubscribe=One-Click"),
    ("auto-submitted", "auto-generated"),
    ("x-auto-response-suppress", "DR, RN, NRN, OOF, AutoReply"),
))  # fmt: skip
_PICTURES: Final = frozenset(("picture.jpg", "picture.png"))

# Browsers take any number of slashes after a scheme for two.
_SLASHES: Final = re.compile(r"(?<=^http:)[/\\]*|(?<=^https:)[/\\]*", re.IGNORECASE)
# Longest link text: NFKC takes quadratic time on some texts.
MAX_VISIBLE: Final = 4000
_WORDS_ARE_ADDRESS: Final = re.compile(
    r"\W*(?:(?:https?|ftp):[/\\]*|(?=www\.))(?:[^/\s@]*@)?([\w-]+(?:\.[\w-]+)+)", re.IGNORECASE
)
# A mail program makes a link of words like these, without a space.
_LIKE_A_LINK: Final = re.compile(
    r"://|www\.|mailto:|@|(?<![.。．｡])[.。．｡][^\W\d_]{2,}", re.IGNORECASE
)
# Sites that only redirect. They record who follows, and some of their links contain an address.
REDIRECTORS: Final = frozenset((
    "adf.ly", "aka.ms", "awstrack.me", "bit.do", "bit.ly", "bl.ink", "buff.ly", "cutt.ly",
    "dlvr.it", "goo.gl", "hubs.ly", "is.gd", "j.mp", "linkprotect.cudasvc.com",
    "linkprotection.outlook.com", "lnkd.in", "mimecast.com", "ow.ly",
    "protect.checkpoint.com", "rb.gy", "rebrand.ly", "rs6.net",
    "safelinks.protection.outlook.com", "s.id", "sendgrid.net", "shorturl.at", "slack-redir.net",
    "snip.ly", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "urldefense.com", "urldefense.us",
    "urldefense.proofpoint.com", "v.gd",
))  # fmt: skip
# Pages of other sites that redirect, too.
_REDIRECTING_PAGE: Final = re.compile(
    r"(?:www\.|maps\.)?google\.[a-z.]+/url\b|(?:l|lm|m)\.facebook\.com/l\.php\b|l\.instagram\.com/"
    r"|(?:[\w-]+\.)*(?:list-manage|mandrillapp)\.com/track/"
)
# Links for sharing at such sites, which are the same for everyone.
_SHARING_LINK: Final = re.compile(
    r"maps\.app\.goo\.gl/|goo\.gl/(?:maps|forms)/|aka\.ms/jointeamsmeeting\b"
)


def lint(template: MessageTemplate, expected: Expected) -> list[Problem]:
    """List the problems of a message, filled in for a sample reader."""
    unknown = template.slots - _SAMPLES.keys()
    samples = dict.fromkeys(template.slots, "x") | _SAMPLES
    filled = template.fill({name: samples[name] for name in template.slots})
    message = BytesParser().parsebytes(filled)
    found = [Problem(Rule.PERSONAL, name) for name in sorted(unknown)]
    for part in message.walk():
        found += _lint_headers(part, expected)
        kind = part.get_content_type()
        if kind in {"text/html", "text/plain"}:
            words = bytes(part.get_payload(decode=True)).decode("utf-8", "replace")
            found += lint_html(words, expected) if kind.endswith("html") else []
            found += _lint_personal(words, expected, is_html=kind.endswith("html"))
    return list(dict.fromkeys(found))


def _lint_headers(part: Message, expected: Expected) -> Iterator[Problem]:
    """Find headers that identify the group, as they are, decoded, and percent-decoded."""
    for name, value in part.items():
        kind, decoded = name.lower(), str(make_header(decode_header(str(value))))
        for words in _texts_to_check(part, kind, decoded):
            if told := expected.tells(kind, words):
                yield Problem(Rule.HEADER, told)
        allowed = {"to": READER, "subject": GREETING, "list-unsubscribe": TOKEN}.get(kind, "")
        for own, named in _OWN.items():
            if own in decoded and own != allowed:
                yield Problem(Rule.PERSONAL, named)


def _texts_to_check(part: Message, kind: str, value: str) -> list[str]:
    """Return the parts of a header to check; none if its value is the same in all our messages."""
    if kind in {"date", "to"} or (kind, value) in _CONSTANT_FIELDS:
        return []
    if kind in {"content-type", "content-disposition"}:
        params = [*(part.get_params() or ()), *(part.get_params([], "content-disposition"))]
        names = {words for param, words in params if param in {"name", "filename"}}
        ways = {each.removesuffix(".pdf") for each in names - _PICTURES}
    else:
        ways = {_RANDOM_ID.sub("", value) if kind in _ID_FIELDS else value}
    return sorted(ways | {unquote(each) for each in ways})


def lint_html(html: str, expected: Expected) -> list[Problem]:
    """Find a preheader that identifies the group, and misleading links."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    shown = " ".join(reader.preheader.split())
    told = (expected.tells("preheader", each) for each in dict.fromkeys((shown, unquote(shown))))
    found = [Problem(Rule.HEADER, word) for word in told if word]
    for target, words in reader.links:
        found += _lint_link(target, "".join(words), expected)
    return found


def _lint_link(target: str, words: str, expected: Expected) -> Iterator[Problem]:
    if is_ours(target, expected.root):
        return
    parts = split_link(target)
    host = (parts.hostname or "").lower()
    is_odd = parts.scheme not in {"http", "https", "mailto", "tel"} or "@" in parts.netloc
    if is_odd or (expected.targets is not None and target not in expected.targets):
        yield Problem(Rule.LINK, target)
    if len(words) > MAX_VISIBLE:
        yield Problem(Rule.LINK, words[:80])
        return
    visible = "".join(each for each in normalize("NFKC", words) if category(each) != "Cf")
    said = _WORDS_ARE_ADDRESS.match(visible)
    if said and not f".{_ascii(host)}".endswith(f".{_ascii(said[1]).removeprefix('www.')}"):
        yield Problem(Rule.LINK, said[1])
    if is_redirected(target):
        yield Problem(Rule.REDIRECT, host)


def split_link(target: str) -> SplitResult:
    """Split a URL as browsers do; all parts are empty if it is invalid."""
    try:
        return urlsplit(_SLASHES.sub("//", target))
    except ValueError:
        return urlsplit("")


def is_direct(target: str) -> bool:
    """Return whether a link is https and goes through no redirecting site."""
    parts = split_link(target)
    is_plain = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    return is_plain and not is_redirected(target)


def is_ours(target: str, root: str) -> bool:
    """Return whether a link leads to our own site."""
    return target == root or target.startswith((f"{root}/", f"{root}?"))


def is_redirected(target: str) -> bool:
    """Return whether a link goes through a site that records who follows it."""
    address = split_link(target)
    host = _ascii(unquote(address.hostname or ""))
    page = f"{host}/{address.path.lstrip('/')}".lower()
    if _SHARING_LINK.match(page):
        return False
    parts = host.split(".")
    is_listed = any(".".join(parts[at:]) in REDIRECTORS for at in range(len(parts)))
    return is_listed or _REDIRECTING_PAGE.match(page) is not None


def _ascii(host: str) -> str:
    """Return a host name in ASCII as browsers do (RFC 5891), or as it is if that is impossible."""
    with suppress(UnicodeError):
        host = host.encode("idna").decode()
    return host.lower().rstrip(".")


def _lint_personal(words: str, expected: Expected, *, is_html: bool) -> Iterator[Problem]:
    """Find placeholders outside of the greeting and our own links."""
    if READER in words:
        yield Problem(Rule.PERSONAL, _OWN[READER])
    # A pattern around a word would take quadratic time on a long line.
    runs = re.split(r'[\s"<>]', words) if is_html else words.split()
    ours = (unescape(each) if is_html else each for each in runs if TOKEN in each)
    if not all(is_ours(each, expected.root) for each in ours):
        yield Problem(Rule.PERSONAL, _OWN[TOKEN])
    in_tag = is_html and any(GREETING in tag for tag in re.findall(r"<[^<>]*>", words))
    named = (each for each in runs if GREETING in each)
    if in_tag or any(_LIKE_A_LINK.search(each) for each in named):
        yield Problem(Rule.PERSONAL, _OWN[GREETING])


class _Reader(HTMLParser):
    """Collects the preheader, and the text of each link."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._words: list[str] = []
        self._is_preheader = False
        self.links: list[tuple[str, list[str]]] = []
        self.preheader = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "a":
            self._words = []
            if target is not None:
                self.links.append((target, self._words))
        self._is_preheader |= ("class", "preheader") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._is_preheader = self._is_preheader and tag != "div"
        if tag == "a":
            self._words = []

    def handle_data(self, data: str) -> None:
        self._words.append(data)
        if self._is_preheader:
            self.preheader += data
