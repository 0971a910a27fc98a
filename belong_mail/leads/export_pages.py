"""The pages of an export: HTML that opens from a folder, without script and without the network."""

from datetime import datetime
from functools import cache, partial
from gettext import NullTranslations
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from belong_mail.core import i18n
from belong_mail.core.environment import RESOURCES
from belong_mail.core.i18n import TextIn, catalog
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group, Question
from belong_mail.groups.presenters import GroupView, group_view, localized, resources_of
from belong_mail.web.i18n import lang_attr

FOLDER = "exported"
# The pages run nothing, and show no picture but those beside them.
POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
# What stands where each member reads their own name.
FIRST_NAME = gettext_noop("[first name]")
# Above a newsletter that went to some members alone, and beside a PDF.
READERS = gettext_noop("Only for people who chose “%(interest)s”.")
FLYER = gettext_noop("Flyer (PDF)")
# By which old programs read a text as UTF-8.
MARK = "\ufeff"
# How a question is answered, in the words of the leads' form.
KINDS = {
    "text": gettext_noop("An answer in their own words"),
    "choice": gettext_noop("One of a list"),
    "choices": gettext_noop("Any of a list"),
    "consent": gettext_noop("Checkbox (agree or not)"),
}


def index_name(language: str) -> str:
    """Name the page that a folder opens with; each other language has one beside it."""
    return "index.html" if language == i18n.DEFAULT else f"index-{language}.html"


def render(name: str, language: str, zone: ZoneInfo, **context: object) -> str:
    """Render a page of `templates/exported`. A missing variable is an error here."""
    return (
        _environment(language, zone, catalog(language))
        .get_template(f"{FOLDER}/{name}.html")
        .render(context)
    )


@cache
def _environment(language: str, zone: ZoneInfo, words: NullTranslations) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(RESOURCES / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]

    def local_date(moment: datetime) -> str:
        return i18n.format_date(moment, language, zone)

    environment.globals |= {
        "language": language,
        "languages": i18n.NAMES,
        "text_direction": i18n.text_direction(language),
        "index_name": index_name,
        "policy": POLICY,
    }
    environment.filters |= {
        "at_start": i18n.at_start,
        "in_sentence": partial(i18n.group_in_sentence, language=language),
        "lang_attr": partial(lang_attr, page=language),
        "local_date": local_date,
    }
    return environment


def interests_of(group: Group, language: str) -> list[str]:
    """List what members can offer to help with."""
    return [localized(each.label, language) for each in group.interests]


def welcome_of(group: Group, language: str) -> str:
    """Return the leads' own words in the welcome email."""
    return localized(group.welcome or {}, language)


def page_text(group: Group, language: str) -> str:
    """Return a group's page as plain text."""
    say = catalog(language).gettext
    shown: GroupView = group_view(group, language)
    links = [f"{each.title}: {each.phone or each.url}" for each in resources_of(group, language)]
    welcome = welcome_of(group, language)
    return _blocks(
        _headed(group.name, [shown.summary, shown.audience, shown.note], "="),
        _headed(say(gettext_noop("Our mission")), ["\n\n".join(shown.mission)]),
        _headed(say(gettext_noop("What we do")), _listed(shown.activities)),
        _headed(say(gettext_noop("How you can help")), _listed(interests_of(group, language))),
        _headed(say(gettext_noop("Helpful links")), _listed(links)),
        _headed(say(gettext_noop("Welcome email")), [welcome]),
    )


def questions_of(group: Group, language: str) -> list[tuple[str, str, list[str]]]:
    """List what a group's form asks: words, how it is answered, the choices.

    What waits for the office to approve was never published.
    """
    return [_shown(each, language) for each in group.questions if each.approved_at]


def _shown(question: Question, language: str) -> tuple[str, str, list[str]]:
    say = catalog(language).gettext
    options: list[str] = [localized(each, language) for each in question.options]
    kind = say(KINDS[question.kind]) if question.kind in KINDS else ""
    return localized(question.label, language), kind, options


def questions_text(group: Group, language: str) -> str:
    """Return a group's questions as plain text."""
    title = catalog(language).gettext(gettext_noop("Questions on the sign-up form"))
    asked = [
        "\n".join([words, *([kind] if kind else []), *_listed(options)])
        for words, kind, options in questions_of(group, language)
    ]
    return _blocks(_headed(title, [], "="), *asked)


def _headed(title: str, parts: list[str], line: str = "-") -> str:
    """Put a title above those parts that say something; nothing where none does."""
    said = [each for each in parts if each]
    above = f"{title}\n{line * len(title)}"
    if line == "=":
        return "\n\n".join([above, *said])
    return "\n".join([above, *said]) if said else ""


def _listed(items: list[str] | list[TextIn]) -> list[str]:
    return [f"- {each}" for each in items]


def _blocks(*blocks: str) -> str:
    return "\n\n".join(each for each in blocks if each) + "\n"
