"""Render emails in the reader's language as HTML and text, from one template each.

Only our own sentences may contain markup: it is read before values are filled in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from belong_mail.core import i18n
from belong_mail.core.district import HelpLines, Names
from belong_mail.core.environment import RESOURCES
from belong_mail.core.links import Links

if TYPE_CHECKING:
    from jinja2 import Environment

    from config import Config

EMAILS = RESOURCES / "emails"
# The same colors as in static/colors.css and static/logo.svg.
PALETTE = {"link": "#5b2f6e", "dark_link": "#d9b8ea", "button": "#241d19", "mark": "#7c5a8c"}

# A link alone in its paragraph, shown as a button.
BUTTON = re.compile(
    r'<p(?: dir="auto")?><a class="button" href="([^"]*)">((?:(?!</a>).)*)</a></p>', re.DOTALL
)
# The same as a table, for programs that render with Word, which applies padding only to cells.
BUTTON_TABLE = (
    r'<table class="action" role="presentation" cellpadding="0" cellspacing="0" border="0">'
    rf'<tr><td class="button" bgcolor="{PALETTE["button"]}">'
    r'<a class="button" href="\1">\2</a></td></tr>'
    r'<tr><td class="gap">&nbsp;</td></tr></table>'
)
# The markup that our sentences may contain: links and strong text.
MARK = re.compile(r'<a href="([^"]+)">(.+?)</a>(\.$)?|</?strong>')
PLACEHOLDER = re.compile(r"%\(\w+\)s")


@cache
def in_plain_text(sentence: str) -> str:
    """Return a sentence without its markup; its placeholders stay."""
    return MARK.sub(_unmarked, sentence)


def _unmarked(found: re.Match[str]) -> str:
    url, words, end = found.groups(default="")
    if not url or url.startswith("tel:"):
        return words + end
    if PLACEHOLDER.fullmatch(words):  # the address as people read it
        return url
    return f"{words}:\n{url}" if end else f"{words} ({url})"


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """The parts of one email; inboxes show the preheader beside the subject."""

    subject: str
    preheader: str
    text: str
    html: str


class Renderer:
    """Renders emails with what they share: names, links, postal address, help lines, inbox."""

    def __init__(self, settings: "Config", links: Links) -> None:
        # Replaced when the office changes some of them.
        self.settings = settings
        self._links = links

    def render(self, email: str, language: str, /, **context: object) -> RenderedEmail:
        """Render a template of `emails/`. Raises UndefinedError for a missing variable."""
        from css_inline import inline  # noqa: PLC0415 - 2 MB, and many processes write no email

        page = partial(self._links.page, language=language)
        said = {"page": page} | context
        html, _ = self._fill("html", email, language, said)
        text, head = self._fill("txt", email, language, said)
        return RenderedEmail(
            subject=head["subject"],
            preheader=head["preheader"],
            text=text.strip() + "\n",
            html=inline(
                BUTTON.sub(BUTTON_TABLE, html), load_remote_stylesheets=False, keep_at_rules=True
            ),
        )

    def _fill(
        self, suffix: str, email: str, language: str, said: dict[str, object]
    ) -> tuple[str, Any]:
        """Return an email as HTML or text, and the variables that its template sets."""
        own = self.settings
        texts = own.mail_from, own.postal_address, own.contact_inbox
        environment = _environment(language, suffix, own.names, own.help_lines, *texts)
        made = environment.get_template(f"{email}.jinja").make_module(said)
        layout = environment.get_template(f"parts/layout.{suffix}")
        return layout.render(said | {"email": made}), vars(made)


@cache
def _environment(
    language: str,
    suffix: str,
    names: Names,
    help_lines: HelpLines,
    mail_from: str,
    postal_address: str,
    office_inbox: str,
) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, runtime  # noqa: PLC0415 - 2 MB

    environment = Environment(
        loader=FileSystemLoader(EMAILS),
        autoescape=suffix == "html",  # noqa: S701 - plain text has nothing to escape
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _filters(language, names.time_zone)
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
    said, mark = i18n.catalog(language), str if suffix == "html" else in_plain_text
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda words: mark(said.gettext(words)),
        lambda one, many, number: mark(said.ngettext(one, many, number)),
        newstyle=True,
    )
    for file in (f"parts/parts.{suffix}", "parts/both.jinja"):
        made = vars(environment.get_template(file).module)
        environment.globals |= {k: made[k] for k in made if isinstance(made[k], runtime.Macro)}
    return environment


def _filters(language: str, zone: ZoneInfo) -> dict[str, Callable[..., str]]:
    return {
        "local_date": lambda moment: i18n.format_date(moment, language, zone),
        "local_time": lambda moment: i18n.format_time(moment, language, zone),
        "at_start": i18n.at_start,
        "in_sentence": lambda name: i18n.group_in_sentence(name, language),
    }
