"""The gate: no issue is queued, frozen or copied while the linter finds a problem in its message.

A lead's newsletter is judged as it is rendered; the worker judges the very bytes that leave, in
each language.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from belong_mail.core.email_templates import RenderedEmail, Renderer
from belong_mail.core.i18n import DEFAULT, NAMES, catalog
from belong_mail.core.links import Links
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import identifying_word, is_discreet
from belong_mail.mail.message import markdown
from belong_mail.mail.message.linter import Expected, Problem, Rule, lint
from belong_mail.mail.message.template import MessageTemplate, slot
from belong_mail.newsletters import rendering
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.rendering import IssueText

# Parts that an inbox shows of each message; a group that is not discreet is not named there either.
SHOWN: Final = frozenset(("subject", "preheader", "content-type", "content-disposition"))
# The preview line of an issue without one: the same for every group, so it tells of none, also
# where a group has one of its words in its name.
OUR_PREVIEW: Final = gettext_noop("News from your %(program_name)s group.")


@dataclass(frozen=True, slots=True)
class Rendering:
    """An issue in one language, as a lead's page has it rendered."""

    language: str
    rendered: RenderedEmail
    template: MessageTemplate


class UnfitIssue(newsletters.InvalidState):
    """The issue's message, as it is rendered, has problems."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


def problems_of(
    newsletter: Newsletter, template: MessageTemplate, language: str, root: str
) -> list[Problem]:
    """List the problems of an issue's message in a language, a test's additions included."""
    _subject, text, spoken = IssueText.from_issue(newsletter).of(language)
    typed = rendering.fill_text(text, newsletter.group, spoken)
    targets = frozenset(target for target, _words in markdown.links_of(typed))
    return lint(template, Expected(root, _identifying(newsletter), targets))


def require_fit(
    newsletter: Newsletter, template: MessageTemplate, language: str, root: str
) -> MessageTemplate:
    """Return the message of an issue, or raise UnfitIssue."""
    if found := problems_of(newsletter, template, language, root):
        raise UnfitIssue(found)
    return template


def render_each(newsletter: Newsletter, renderer: Renderer, links: Links) -> list[Rendering]:
    """Render an issue as it would go out now, once for each language that it is written in.

    A language without words of its own has the same message but for what we write around it.
    """
    words = IssueText.from_issue(newsletter)
    written = {words.of(language)[2]: language for language in NAMES if words.text.get(DEFAULT)}
    made = []
    for language in written.values():
        leave_url = slot("leave").join(links.frame("subscriptions.leave", language))
        rendered = rendering.render(
            renderer, newsletter.group, words, language, newsletter.images, leave_url
        )
        subject = rendered.subject or "-"
        template = rendering.sample(rendered, newsletter.images, subject)
        made.append(Rendering(language, rendered, template))
    return made


def find_problems(newsletter: Newsletter, made: Iterable[Rendering], links: Links) -> list[Problem]:
    """List what is wrong with an issue as it is rendered.

    The headers that only the worker can write, it judges itself.
    """
    found = [Problem(Rule.HEADER, word) for word in newsletters.identifying_words(newsletter)]
    for each in made:
        found += problems_of(newsletter, each.template, each.language, links.root)
    return list(dict.fromkeys(found))


def require_rendered_fit(newsletter: Newsletter, renderer: Renderer, links: Links) -> None:
    """Raise UnfitIssue for an issue that has problems as it would be rendered now."""
    if found := find_problems(newsletter, render_each(newsletter, renderer, links), links):
        raise UnfitIssue(found)


def _identifying(newsletter: Newsletter) -> Callable[[str, str], str]:
    """Return what judges a header: of discreet groups each, of others what an inbox shows."""
    judges_all = is_discreet(newsletter.group)
    ours = {catalog(code).gettext(OUR_PREVIEW) for code in NAMES}

    def tells(header: str, words: str) -> str:
        if header == "preheader" and words in ours:
            return ""
        return identifying_word(newsletter.group, words) if judges_all or header in SHOWN else ""

    return tells
