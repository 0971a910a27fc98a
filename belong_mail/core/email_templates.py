"""Render emails from folders of three templates: strict, escaped, in the reader's language."""

import re
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from html import unescape

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from belong_mail.core import i18n
from belong_mail.core.district import HelpLines, Names
from belong_mail.core.environment import RESOURCES

EMAILS = RESOURCES / "emails"
PREHEADER = re.compile(r'<div class="preheader"[^>]*>(.*?)</div>', re.DOTALL)
# Colors as pages have them in static/colors.css and static/logo.svg.
PALETTE = {"link": "#5b2f6e", "dark_link": "#d9b8ea", "button": "#241d19", "mark": "#7c5a8c"}

# The preheader in the source of an email.
SHOWN = re.compile("{% block preheader %}(.*?){% endblock %}")
# A link that is a paragraph of its own and looks like a button.
BUTTON = re.compile(
    r'<p(?: dir="auto")?><a class="button" href="([^"]*)">((?:(?!</a>).)*)</a></p>', re.DOTALL
)
# The same for programs that draw with Word: there a cell has a padding, a link has none.
BUTTON_TABLE = (
    r'<table class="action" role="presentation" cellpadding="0" cellspacing="0" border="0">'
    rf'<tr><td class="button" bgcolor="{PALETTE["button"]}">'
    r'<a class="button" href="\1">\2</a></td></tr>'
    r'<tr><td class="gap">&nbsp;</td></tr></table>'
)


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """One mail's words."""

    subject: str
    text: str
    html: str

    @property
    def preheader(self) -> str:
        """Return what a list of messages shows beside the subject."""
        found = PREHEADER.search(self.html)
        return unescape(found[1]) if found else ""


@cache
def _fixed_messages() -> frozenset[str]:
    """Return what subjects and first lines of our own emails say, as the sources have it."""
    parts = [file.read_text() for file in EMAILS.glob("*/subject.txt")]
    parts += [
        found for file in EMAILS.glob("*/body.html") for found in SHOWN.findall(file.read_text())
    ]
    return frozenset(words for part in parts for words in re.findall(r'_\("([^"]+)"', part))


def fixed_words() -> frozenset[str]:
    """Return what subjects and first lines of our own emails say, in every language."""
    said = _fixed_messages()
    return frozenset(i18n.catalog(code).gettext(words) for code in i18n.NAMES for words in said)


class Renderer:
    """Renders emails; what any of them may say (name, postal line, office) is given once."""

    def __init__(
        self,
        names: Names,
        mail_from: str,
        postal_address: str,
        office_inbox: str,
        help_lines: HelpLines,
    ) -> None:
        said = names, mail_from, postal_address, office_inbox, help_lines
        self._environments = {code: _environment(code, *said) for code in i18n.NAMES}
        # What the office has changed since, by the names of the templates.
        self._changed: dict[str, object] = {}
        self._inliner = CSSInliner(
            load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True
        )

    def use(self, postal_address: str, help_lines: HelpLines) -> None:
        """Write with another postal line and other help lines from now on."""
        self._changed = {"postal_address": postal_address, "help_lines": help_lines}

    def changed(self, postal_address: str, help_lines: HelpLines) -> "Renderer":
        """Return one that writes with these, and leave this one as it is."""
        other = copy(self)
        other.use(postal_address, help_lines)
        return other

    def render(self, email: str, language: str, /, **context: object) -> RenderedEmail:
        """Render a folder of `emails/`. A missing variable is an error here."""
        environment, said = self._environments[language], self._changed | context

        def part(file: str) -> str:
            return environment.get_template(f"{email}/{file}").render(said)

        return RenderedEmail(
            subject=" ".join(part("subject.txt").split()),
            text=part("body.txt").strip() + "\n",
            html=self._inliner.inline(BUTTON.sub(BUTTON_TABLE, part("body.html"))),
        )

    def words(self, language: str, message: str) -> str:
        """Translate words that come from the code, such as the name of a topic."""
        return i18n.catalog(language).gettext(message)


@cache
def _environment(
    language: str,
    names: Names,
    mail_from: str,
    postal_address: str,
    office_inbox: str,
    help_lines: HelpLines,
) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(EMAILS),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        i18n.catalog(language), newstyle=True
    )
    environment.globals |= {
        "language": language,
        "text_direction": i18n.text_direction(language),
        "mail_from": mail_from,
        "postal_address": postal_address,
        "office_inbox": office_inbox,
        "help_lines": help_lines,
        "palette": PALETTE,
        **names.placeholders(),
    }

    def in_words(words: object, moment: datetime) -> str:
        return words(moment, language, names.time_zone)  # type: ignore[operator,no-any-return]

    environment.filters["local_date"] = partial(in_words, i18n.format_date)
    environment.filters["local_time"] = partial(in_words, i18n.format_time)
    environment.filters["at_start"] = i18n.at_start
    environment.filters["in_sentence"] = lambda name: i18n.group_in_sentence(name, language)
    return environment
