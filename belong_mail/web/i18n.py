"""A page's language: from the URL or the browser, without a cookie."""

import gettext
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from babel.support import NullTranslations
from flask import Flask, Response, g, request, url_for
from flask_babel import Babel, Domain, format_decimal, get_locale
from markupsafe import Markup, escape

from belong_mail.core import i18n
from belong_mail.core.services import Settings
from belong_mail.web.context import is_shown_again

# Arguments by which a page says what a press has done, in each language.
SAID = ("pressed", "by")
CACHEABLE_STATUSES = {200, 206, 304}
Words = Callable[[datetime, str, ZoneInfo], str]


class PoDomain(Domain):
    """Reads the .po files themselves, once; nothing needs to be compiled."""

    def get_translations(self) -> NullTranslations:
        return _with_methods(i18n.catalog(str(get_locale() or i18n.DEFAULT)))


@cache
def _with_methods(catalog: gettext.NullTranslations) -> NullTranslations:
    """Give a catalog the names of methods that Flask-Babel calls."""
    found = NullTranslations()
    found.add_fallback(catalog)
    return found


class RequestI18n(Babel):
    domain_instance = PoDomain()


def init_i18n(app: Flask, settings: Settings) -> None:
    """Choose each request's language and give the templates their words."""
    RequestI18n(app, locale_selector=_chosen, default_locale=i18n.DEFAULT)

    versions = versions_of(Path(app.static_folder or ""))

    @app.url_defaults
    def keep_language(_endpoint: str, values: dict[str, object]) -> None:
        if request and request.args.get("lang") in i18n.NAMES:
            values.setdefault("lang", request.args["lang"])

    @app.after_request
    def keep_static_files(response: Response) -> Response:
        if request.endpoint == "static":
            version = versions.get((request.view_args or {})["filename"], "")
            if (
                version
                and request.args.get("v") == version
                and response.status_code in CACHEABLE_STATUSES
            ):
                response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        else:
            response.headers["Content-Language"] = str(get_locale())
            response.vary.add("Accept-Language")
        return response

    _add_template_globals(app, settings, versions)
    _add_template_filters(app, settings)


def _add_template_globals(app: Flask, settings: Settings, versions: Mapping[str, str]) -> None:
    """Give the templates what every page says."""
    app.jinja_env.globals |= {
        "site_name": settings.site_name,
        "district_name": settings.district_name,
        "district_short": settings.district_short,
        "program_name": settings.program_name,
    }

    @app.context_processor
    def words() -> dict[str, object]:
        return {
            "is_signed_in": "account" in g,
            "is_shown_again": is_shown_again(),
            "language": str(get_locale()),
            "text_direction": i18n.text_direction(str(get_locale() or i18n.DEFAULT)),
            "languages": i18n.NAMES,
            "default_language": i18n.DEFAULT,
            "other_languages": i18n.OTHER_LANGUAGES,
            "language_name": lambda code: i18n.language_name(code, str(get_locale())),
            "language_list": lambda codes: i18n.language_list(codes, str(get_locale())),
            "language_url": _language_url,
            "static": lambda file: url_for("static", filename=file, v=versions[file], lang=None),
            "is_development": settings.is_development,
            "mail_from": settings.mail_from,
            "base_url": settings.base_url,
            "office_inbox": settings.contact_inbox,
            "help_lines": settings.help_lines,
        }


def _add_template_filters(app: Flask, settings: Settings) -> None:
    """Give the templates times in words, groups in sentences, and marks of languages."""

    def in_words(say: Words, moment: datetime) -> str:
        return say(moment, str(get_locale()), settings.timezone)

    app.jinja_env.filters["local_time"] = partial(in_words, i18n.format_time)
    app.jinja_env.filters["local_clock"] = lambda moment: i18n.format_clock(
        moment.astimezone(settings.timezone).time(), str(get_locale())
    )
    app.jinja_env.filters["in_sentence"] = in_sentence
    app.jinja_env.filters["lang_attr"] = lang_attr
    app.jinja_env.filters["with_lang"] = with_lang
    app.jinja_env.filters["local_month"] = lambda day: i18n.format_month(day, str(get_locale()))
    app.jinja_env.filters["local_weekday"] = lambda day: i18n.format_weekday(day, str(get_locale()))
    app.jinja_env.filters["local_date"] = partial(in_words, i18n.format_date)
    app.jinja_env.filters["local_day"] = lambda day: i18n.format_day(day, str(get_locale()), "long")
    app.jinja_env.filters["local_number"] = format_decimal
    app.jinja_env.filters["at_start"] = i18n.at_start


def lang_attr(words: str, page: str = "") -> Markup:
    """Return the attribute for an element all of whose words may be in another language.

    Screen readers then say them right (WCAG 3.1.2): `<p{{ group.summary|lang_attr }}>`. The page's
    language is the request's, unless it is named.
    """
    page = page or str(get_locale())
    language = words.language if words and isinstance(words, i18n.TextIn) else page
    return Markup(' lang="{}"').format(language) if language != page else Markup("")


def with_lang(words: str) -> Markup:
    """Return words, in an element of their own where they are in another language."""
    attribute = lang_attr(words)
    return Markup("<span{}>{}</span>").format(attribute, words) if attribute else escape(words)


def in_sentence(name: str) -> Markup:
    """Return how a sentence calls a group, with the language of its name where it is another."""
    before, _name, after = i18n.group_in_sentence(name, str(get_locale())).partition(name)
    return Markup("{}{}{}").format(before, with_lang(name), after)


def _language_url(code: str, path: str = "") -> str:
    """Return where this page, or another one, is read in another language."""
    kept = {} if path else {name: request.args[name] for name in SAID if name in request.args}
    return f"{path or quote(request.path)}?{urlencode({**kept, 'lang': code})}"


def versions_of(folder: Path) -> dict[str, str]:
    """Map each static file to what changes when its content does; browsers keep its URL for ever.

    Read once, at the start: no path that a visitor names is ever opened here.
    """
    return {
        file.relative_to(folder).as_posix(): _hashed(file)
        for file in folder.rglob("*")
        if file.is_file()
    }


def _hashed(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10]


def _chosen() -> str:
    """Take the language of the URL, else the browser's, else our own."""
    wanted = request.args.get("lang")
    if wanted in i18n.NAMES:
        return wanted
    return i18n.known_language(request.accept_languages.best_match(i18n.NAMES))
