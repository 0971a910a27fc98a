"""Every email of ours, in every language, is quiet where inboxes show, and fetches nothing."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml.html import document_fromstring

from belong_mail.core import i18n
from belong_mail.core.email_templates import EMAILS
from belong_mail.groups.header_words import identifying_word
from belong_mail.groups.models import Group
from belong_mail.groups.seeds import GROUPS
from belong_mail.mail.message.linter import Expected, lint_html
from tests.emails.given import PHONES_AND_SITES, ROOT, contexts, renderer
from tests.remote_content import remote_content

# A newsletter holds the words of a lead, which have a gate of their own.
KINDS = sorted(contexts().keys() - {"newsletter"})
OURS = [Group(slug=each["slug"], name=each["name"]) for each in GROUPS]
TRACKER = "https://tracker.example.net/p.gif"
# The links of each kind to pages of ours.
LINKS = Path(__file__).with_name("links.txt")
# Content that a mail program would fetch or run, in a tag, a style and for Outlook alone.
FETCHING = [
    f"<IMG SRC={TRACKER}>",
    '<p style="background:u\\72l(https://tracker.example.net)">x</p>',
    '<p onclick="x()">x</p>',
    f'<!--[if mso]><img src="{TRACKER}"><![endif]-->',
]


@pytest.mark.parametrize("language", i18n.NAMES)
def test_every_email_is_quiet_and_fetches_nothing(language):
    def tells(_header: str, words: str) -> str:
        return next((found for each in OURS if (found := identifying_word(each, words))), "")

    for kind in KINDS:
        for case in contexts(lambda _plain: "LGBTQ+")[kind]:
            email = renderer().render(kind, language, **case)
            assert lint_html(email.html, Expected(ROOT, tells, PHONES_AND_SITES)) == [], kind
            assert remote_content(email.html) == [], kind
            assert tells("subject", email.subject) == "", kind
    for html in FETCHING:
        assert remote_content(f"{html}<p>x</p>"), html


def links_of_emails(language: str) -> dict[str, list[str]]:
    """Return the words and the path of each kind's links to pages of ours."""
    linked: dict[str, set[str]] = {}
    for kind, cases in sorted(contexts().items()):
        for email in (renderer().render(kind, language, **case) for case in cases):
            typed = ["https://example.org"] if kind == "contact-message" else []
            for link in document_fromstring(email.html).iter("a"):
                url, words = link.get("href"), " ".join(link.text_content().split())
                typed += [url] if url.startswith("https:") else []
                if url.startswith(ROOT):
                    assert f"lang={language}" in url or "/x1" in url, (kind, url)
                    path = urlsplit(url).path.partition("/x1")[0]
                    linked.setdefault(kind, set()).add(f"{words} → {path}")
            assert re.findall(r"https:[^\s)]*", email.text) == typed, kind
    return {kind: sorted(links) for kind, links in linked.items()}


def test_each_link_of_an_email_opens_what_its_words_say():
    """Alike in HTML and in plain text, and in each language."""
    linked = links_of_emails(i18n.DEFAULT)
    said = [f"{kind}: {' | '.join(links)}" for kind, links in linked.items()]
    assert said == LINKS.read_text().splitlines()
    for language in i18n.OTHER_LANGUAGES:
        for kind, links in links_of_emails(language).items():
            assert targets(links) == targets(linked[kind]), (language, kind)


def targets(links: list[str]) -> list[str]:
    return sorted(link.rpartition(" ")[2] for link in links)


def luminance(color: str) -> float:
    """Return how light a color is (WCAG 2.2, relative luminance)."""
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_preview_line_has_no_color_of_what_is_to_be_hidden():
    """Filters take words in the color of their background for a trick."""
    layout = (EMAILS / "parts/layout.html").read_text()
    light, dark = layout.split("@media (prefers-color-scheme: dark)")
    for scheme in (light, dark):
        colors = []
        for rule in (r"\.hidden \{[^}]*?\bcolor: ", r"\bbody[^{}]*\{[^}]*?background: "):
            found = re.search(rf"{rule}(#[0-9a-f]{{6}})", scheme)
            assert found is not None
            colors.append(luminance(found[1]))
        assert (max(colors) + 0.05) / (min(colors) + 0.05) >= 7


# What each case of an email says alone, in the order of `contexts`.
ALONE = {
    "bar-changed": ["not to let it join again", "may join"],
    "group-ends": ["will continue", "came to an end", "plans to end"],
    "issue-held": [
        "no email could go out", "no one has approved", "while the site was down",
        "didn’t approve", "has to change",
    ],
    "let-in": ["You’re back to", "Ada is back to", "Someone is back to"],
    "mailbox-changed": ["One of you asked", "Thank you for reading"],
    "office-acted": [
        "Nothing more is sent", "is being sent", "be taken back", "gave it", "a draft again",
    ],
    "passkey-changed": ["with a new passkey", "was removed"],
}  # fmt: skip


@pytest.mark.parametrize("kind", ALONE)
def test_each_case_of_an_email_is_said_in_its_own_words(kind):
    made = [renderer().render(kind, "en", **case).text for case in contexts()[kind]]
    said = [[words in " ".join(text.split()) for words in ALONE[kind]] for text in made]
    assert said == [[one == other for other in range(len(made))] for one in range(len(made))]
