"""Check an issue: the editor's checklist, and the gate that refuses to send an unfit issue."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import unquote

from belong_mail.core.db import now
from belong_mail.core.email_templates import RenderedEmail, Renderer
from belong_mail.core.i18n import DEFAULT, NAMES, OTHER_LANGUAGES, catalog
from belong_mail.core.links import Links
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import is_discreet, word_finder
from belong_mail.mail.message import markdown
from belong_mail.mail.message.linter import Expected, Problem, Rule, lint, split_link
from belong_mail.mail.message.mime import GatedMessage, clean_text
from belong_mail.mail.message.template import MessageTemplate, slot
from belong_mail.newsletters import files, rendering
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.rendering import IssueText

# Parts of a message that an inbox shows; they may identify no group, discreet or not.
SHOWN: Final = frozenset(("subject", "preheader", "content-type", "content-disposition"))
# The default preview line is the same for every group, so it identifies none, even one with such a
# word in its name.
OUR_PREVIEW: Final = gettext_noop("News from your %(program_name)s group.")

NAME: Final = "{first_name}"
# An incomplete address, such as `https://`.
NOWHERE = re.compile(r"(?:https?:[/\\]*|mailto:)", re.IGNORECASE)
HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})", re.IGNORECASE)
# Bytes; beyond 102 KB Gmail cuts off the end, and the link to leave with it.
MAX_HTML = 100_000
# Bytes of a message with its pictures; and with flyers, too, as servers usually accept.
MAX_MESSAGE = 5_000_000
MAX_WITH_FLYERS = 10_000_000
TELLS = gettext_noop(
    "The subject or preview line names the group or says what it’s about: “%(named)s”. Anyone"
    " who sees the reader’s screen would know. Choose other words."
)
TITLE_TELLS = gettext_noop(
    "The title of a flyer names the group or says what it’s about: “%(named)s”. Inboxes show"
    " it. Remove the flyer, and add it with another title."
)
TOO_MANY_MARKS = gettext_noop(
    "The text has so many marks, such as * or |, that it would be sent without formatting."
)
NO_ADDRESS = gettext_noop("A link has no address.")
WITHOUT_ADDRESS = gettext_noop("The link “%(named)s” has no address.")
MISLEADING = gettext_noop("A link says “%(named)s” but leads somewhere else.")
GATE = {
    Rule.HEADER: gettext_noop(
        "A line of the email that inboxes show names the group or says what it’s about:"
        " “%(named)s”. Anyone who sees the reader’s screen would know. Choose other words."
    ),
    Rule.LINK: gettext_noop(
        "A link doesn’t go where it says: “%(named)s”. Type the web address itself, or use other"
        " words for the link."
    ),
    Rule.REDIRECT: gettext_noop(
        "A link goes through “%(named)s”, which sees who follows it. Use the address it leads to."
    ),
    Rule.PERSONAL: gettext_noop(
        "“%(named)s” is in a link or in a hidden line of the email, so others would learn who reads"
        " it."
    ),
}


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One line of the checklist: words to be translated, and the names in them."""

    words: str
    named: str = ""
    # Code of the language that the line mentions.
    language: str = ""
    is_refusal: bool = False
    # Id of the editor's element where a refusal can be fixed.
    place: str = "text"


class UnfitIssue(newsletters.InvalidState):
    """The issue's rendered message has problems."""

    def __init__(self, problems: Iterable[ChecklistItem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


@final
class FitMessage(GatedMessage):
    """An issue's message that has passed the gate; the constructor raises UnfitIssue."""

    def __init__(
        self,
        newsletter: Newsletter,
        template: MessageTemplate,
        language: str,
        root: str,
        ours: Mapping[str, str] | None = None,
    ) -> None:
        self._problems = _problems_of(newsletter, template, language, root)
        super().__init__(template, ours)

    def require_fit(self) -> None:
        if self._problems:
            raise UnfitIssue(self._problems)


@dataclass(frozen=True, slots=True)
class Rendering:
    """An issue rendered in one language for a lead's page."""

    language: str
    rendered: RenderedEmail
    template: MessageTemplate


def render_each(newsletter: Newsletter, renderer: Renderer, links: Links) -> list[Rendering]:
    """Render an issue as it would be sent now, once for each language that it is written in.

    In other languages only the words around the text differ.
    """
    words = IssueText.from_issue(newsletter)
    written = {words.of(language)[2]: language for language in NAMES if words.text.get(DEFAULT)}
    made = []
    for language in written.values():
        leave_url = slot("leave").join(links.frame("subscriptions.manage", language))
        rendered = rendering.render(
            renderer, newsletter.group, words, language, newsletter.images, leave_url
        )
        subject = rendered.subject or "-"
        template = rendering.sample(rendered, newsletter.images, subject)
        made.append(Rendering(language, rendered, template))
    return made


def require_rendered_fit(newsletter: Newsletter, renderer: Renderer, links: Links) -> None:
    """Raise UnfitIssue if an issue, rendered now, has problems."""
    if found := find_problems(newsletter, render_each(newsletter, renderer, links), links):
        raise UnfitIssue(found)


def find_problems(
    newsletter: Newsletter, made: Iterable[Rendering], links: Links
) -> list[ChecklistItem]:
    """List the problems for which the gate stops a rendered issue.

    Headers that only the worker can write are checked by the worker.
    """
    found = _identifying_items(newsletter)
    for each in made:
        found += _problems_of(newsletter, each.template, each.language, links.root)
    return list(dict.fromkeys(found))


def _problems_of(
    newsletter: Newsletter, template: MessageTemplate, language: str, root: str
) -> list[ChecklistItem]:
    """List the problems of an issue's words and message, including the additions of a test copy."""
    told = _identifying_items(newsletter)
    _subject, text, spoken = IssueText.from_issue(newsletter).of(language)
    typed = rendering.fill_text(text, newsletter.group, spoken)
    targets = frozenset(target for target, _words in markdown.links_of(typed))
    found = lint(template, Expected(root, _identifying(newsletter), targets))
    # A link's address is encoded, so the finished message has no slot there.
    if any(NAME in unquote(target) for target, _words in markdown.links_of(clean_text(text))):
        found.append(Problem(Rule.PERSONAL, NAME))
    named = {each.named for each in told}
    return told + [
        _refusal(GATE[rule], word)
        for rule, word in found
        if rule is not Rule.HEADER or word not in named
    ]


def _identifying_items(newsletter: Newsletter) -> list[ChecklistItem]:
    """Report a lead's words that would identify the group in an inbox, with where they stand.

    Files are named after the titles of flyers.
    """
    lines = (*newsletter.subject.values(), *newsletter.preheader.values())
    shown = [(TELLS, "subject", line) for line in lines]
    shown += [(TITLE_TELLS, "flyers", flyer.title) for flyer in newsletter.flyers]
    find, name = word_finder(newsletter.group), newsletter.group.name
    found = (
        (said, place, find(rendering.fill_slots(clean_text(each), name)))
        for said, place, each in shown
    )
    return [_refusal(said, word, place) for said, place, word in found if word]


def require_valid(newsletter: Newsletter) -> None:
    """Raise InvalidState if an issue's group has ended, or its headers would name the group."""
    if newsletter.group.has_ended(now()) or _identifying_items(newsletter):
        raise newsletters.InvalidState


def _identifying(newsletter: Newsletter) -> Callable[[str, str], str]:
    """Return a function that finds an identifying word in a header; see SHOWN."""
    find, judges_all = word_finder(newsletter.group), is_discreet(newsletter.group)
    ours = {catalog(code).gettext(OUR_PREVIEW) for code in NAMES}

    def tells(header: str, words: str) -> str:
        if header == "preheader" and words in ours:
            return ""
        return find(words) if judges_all or header in SHOWN else ""

    return tells


def checklist(issue: Newsletter, renderer: Renderer, links: Links) -> list[ChecklistItem]:
    texts = tuple(issue.text.values())
    made = render_each(issue, renderer, links)
    return [
        *_missing(issue),
        *find_problems(issue, made, links),
        *(item for text in texts for item in _links(text)),
        *(_refusal(TOO_MANY_MARKS) for text in texts if markdown.has_too_many_marks(text)),
        *_pictures(issue),
        *_flyers(issue),
        *_sizes(issue, made),
    ]


def _links(text: str) -> Iterator[ChecklistItem]:
    """Report links without an address, and those whose words name another host than theirs."""
    for target, words in markdown.links_of(text):
        if not target.strip() or NOWHERE.fullmatch(target.strip()):
            yield _refusal(WITHOUT_ADDRESS if words.strip() else NO_ADDRESS, words.strip())
        shown, parts = HOST.search(words), split_link(target)
        host = (parts.hostname or "").lower() if parts.scheme in {"http", "https"} else ""
        if shown and host and not f".{host}".endswith(f".{shown[1].lower().removeprefix('www.')}"):
            yield ChecklistItem(MISLEADING, shown[1])


def _missing(issue: Newsletter) -> Iterator[ChecklistItem]:
    """Report words that are missing, in the default language or in another."""
    if not issue.default_subject.strip():
        yield _refusal(gettext_noop("Add a subject."), place="subject")
    if not issue.text.get(DEFAULT, "").strip():
        yield _refusal(gettext_noop("Add some text."))
    for code in OTHER_LANGUAGES:
        subject, text = (words.get(code, "").strip() for words in (issue.subject, issue.text))
        if bool(subject) != bool(text):
            words = gettext_noop("The %(language)s version needs both a subject and text.")
            place = f"text_{code}" if subject else f"subject_{code}"
            yield ChecklistItem(words, language=code, is_refusal=True, place=place)
        elif not subject:
            words = gettext_noop(
                "There’s no %(language)s version. Members who chose %(language)s will get the main"
                " version."
            )
            yield ChecklistItem(words, language=code)


def _pictures(issue: Newsletter) -> Iterator[ChecklistItem]:
    ours = {f"picture:{image.public_id}": image.description for image in issue.images}
    shown = [image for text in issue.text.values() for image in markdown.images_of(text)]
    targets = {target for target, _words in shown}
    if not all(words.strip() for _target, words in shown):
        yield _refusal(gettext_noop("A picture has no description for people who can’t see it."))
    if any(each.startswith("picture:") for each in targets - ours.keys()):
        yield _refusal(gettext_noop("The text shows a picture that isn’t in this newsletter."))
    if not all(each.startswith("picture:") for each in targets):
        yield ChecklistItem(
            gettext_noop(
                "A picture from another website will be left out. Add it to this newsletter"
                " instead."
            )
        )
    for code in OTHER_LANGUAGES:
        if any(
            ours.get(target) == words
            for target, words in markdown.images_of(issue.text.get(code, ""))
        ):
            yield ChecklistItem(
                gettext_noop(
                    "The %(language)s version describes a picture in the words of the main version."
                    " Translate what’s between its square brackets."
                ),
                language=code,
            )
    for target in ours.keys() - targets:
        yield ChecklistItem(
            gettext_noop("You added the picture “%(named)s” but haven’t placed it in the text."),
            ours[target],
        )


def _flyers(issue: Newsletter) -> Iterator[ChecklistItem]:
    for flyer in issue.flyers:
        if not flyer.is_tagged:
            words = gettext_noop(
                "The flyer “%(named)s” has no tags for screen readers. If you can, export it again"
                " as an accessible or tagged PDF."
            )
            yield ChecklistItem(words, flyer.title)


def _sizes(issue: Newsletter, made: Iterable[Rendering]) -> Iterator[ChecklistItem]:
    """Report sizes, for each language that the issue is written in."""
    for each in made:
        if len(each.rendered.html.encode()) > MAX_HTML:
            said = gettext_noop("The text is so long that Gmail would cut off its end. Shorten it.")
            yield _refusal(said)
        octets = each.template.size
        if octets > MAX_MESSAGE:
            said = gettext_noop("With its pictures, the email is too large for many inboxes.")
            yield _refusal(said)
        elif octets + sum(files.octets(flyer) for flyer in issue.flyers) > MAX_WITH_FLYERS:
            yield _refusal(
                gettext_noop(
                    "With its pictures and flyers, the email is too large for many inboxes."
                )
            )


def _refusal(words: str, named: str = "", place: str = "text") -> ChecklistItem:
    return ChecklistItem(words, named, is_refusal=True, place=place)
