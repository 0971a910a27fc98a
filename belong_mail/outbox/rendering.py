"""Mails from their folders of three files: strict, escaped, in the reader's language."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from belong_mail import languages

FOLDER = Path(__file__).resolve().parents[2] / "emails"


@dataclass(frozen=True, slots=True)
class Rendered:
    """One mail's words."""

    subject: str
    text: str
    html: str


class Renderer:
    """Renders mails; what every mail says (name, postal line) is given once."""

    def __init__(self, mail_from: str, postal_address: str, zone: ZoneInfo) -> None:
        self._environments = {
            language: _environment(language, zone, mail_from, postal_address)
            for language in languages.NAMES
        }
        self._inliner = CSSInliner(
            load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True
        )

    def render(self, email: str, language: str, /, **context: object) -> Rendered:
        """Render a folder of `emails/`. A missing variable is an error here."""
        environment = self._environments[language]

        def part(file: str) -> str:
            return environment.get_template(f"{email}/{file}").render(context)

        return Rendered(
            subject=" ".join(part("subject.txt").split()),
            text=part("body.txt").strip() + "\n",
            html=self._inliner.inline(part("body.html")),
        )

    def words(self, language: str, message: str) -> str:
        """Translate words that come from the code, such as the name of a topic."""
        return languages.catalog(language).ugettext(message)


@cache
def _environment(language: str, zone: ZoneInfo, mail_from: str, postal_address: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        languages.catalog(language), newstyle=True
    )
    environment.globals |= {
        "language": language,
        "mail_from": mail_from,
        "postal_address": postal_address,
    }

    def in_words(words: object, moment: datetime) -> str:
        return words(moment, language, zone)  # type: ignore[operator,no-any-return]

    environment.filters["local_date"] = partial(in_words, languages.date_in_words)
    environment.filters["local_time"] = partial(in_words, languages.time_in_words)
    return environment
