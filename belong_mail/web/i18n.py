"""Translations, dates, groups' names and links for templates, in the request's language."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from flask import Flask, Response, g, has_request_context, request
from flask.templating import Environment
from jinja2 import nodes
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape
from werkzeug.utils import cached_property

from belong_mail.core import i18n
from belong_mail.core.services import Settings
from belong_mail.web.context import is_shown_again, today
from belong_mail.web.language import (
    chosen_language,
    format_number,
    marked_up,
    page_gettext,
    page_ngettext,
    request_language,
)
from belong_mail.web.security_headers import FOR_MACHINES

# Query arguments that make a page say what was just done; links to other languages keep them.
SAID = ("pressed", "by")
NOT_MARKED = Markup()
CACHEABLE_STATUSES = {200, 206, 304}


class _Words(NodeTransformer):
    """Translates those texts of a template that contain no values."""

    def __init__(self, language: str) -> None:
        self._catalog = i18n.catalog(language)

    def visit_Call(self, call: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja's name
        match self.generic_visit(call):
            case nodes.Call(
                node=nodes.Name(name="_" | "gettext"), args=[nodes.Const(value=text)], kwargs=[]
            ):
                return nodes.Const(marked_up(self._catalog.gettext(text), {}), lineno=call.lineno)
        return call


class PageTemplates(Environment):
    """Compiles templates for one language, so that no page looks up words that never change."""

    language = i18n.DEFAULT

    def _generate(self, source: nodes.Template, *args: Any, **named: Any) -> str:
        return super()._generate(_Words(self.language).visit(source), *args, **named)


class LocalizedFlask(Flask):
    """Renders each page by the templates of the request's language."""

    jinja_environment = PageTemplates

    @cached_property
    def _templates(self) -> dict[str, PageTemplates]:
        shared: Any = self.create_jinja_environment()
        shared.add_extension("jinja2.ext.i18n")
        shared.newstyle_gettext = True
        found = {code: shared.overlay() for code in i18n.NAMES}
        for code, each in found.items():
            each.language = code
        return found

    @property
    def jinja_env(self) -> PageTemplates:
        """The templates of the request's language; all have the same filters and globals."""
        return self._templates[request_language()]


def init_i18n(app: Flask, settings: Settings) -> None:
    """Register globals and filters of templates, and keep the chosen language in links."""
    versions = versions_of(Path(app.static_folder or ""))

    @app.url_defaults
    def keep_language(_endpoint: str, values: dict[str, object]) -> None:
        if has_request_context() and (chosen := chosen_language()):
            values.setdefault("lang", chosen)

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
            if request.endpoint not in FOR_MACHINES:  # whose answers are English
                response.headers["Content-Language"] = request_language()
            response.vary.add("Accept-Language")
        return response

    _add_template_globals(app, settings, versions)
    _add_template_filters(app, settings)


def _add_template_globals(app: Flask, settings: Settings, versions: Mapping[str, str]) -> None:
    """Add the names in settings, language helpers, links, and `_`, `ngettext` and `trans`."""
    app.jinja_env.globals |= {
        "_": page_gettext,
        "gettext": page_gettext,
        "ngettext": page_ngettext,
        "site_name": settings.site_name,
        "district_name": settings.district_name,
        "district_short": settings.district_short,
        "program_name": settings.program_name,
        "languages": i18n.NAMES,
        "default_language": i18n.DEFAULT,
        "other_languages": i18n.OTHER_LANGUAGES,
        "language_name": lambda code: i18n.language_name(code, request_language()),
        "language_list": lambda codes: i18n.language_list(codes, request_language()),
        "language_url": _language_url,
        "url_for": _url_for(app),
        "static": {name: f"/static/{name}?v={v}" for name, v in versions.items()}.__getitem__,
        "is_development": settings.is_development,
        "mail_from": settings.mail_from,
        "base_url": settings.base_url,
        "office_inbox": settings.contact_inbox,
        "help_lines": settings.help_lines,
    }

    @app.context_processor
    def words() -> dict[str, object]:
        return {
            "is_signed_in": "account" in g,
            "is_shown_again": is_shown_again(),
            "language": request_language(),
            "text_direction": i18n.text_direction(request_language()),
        }


def _url_for(app: Flask) -> Callable[..., str]:
    """Return Flask's `url_for`; links of the layout, which take no values, are built once."""
    plain_url = cache(lambda endpoint, _chosen_language: app.url_for(endpoint))

    def url_for(endpoint: str, **values: Any) -> str:
        if values or endpoint.startswith("."):
            return app.url_for(endpoint, **values)
        return plain_url(endpoint, chosen_language())

    return url_for


def _add_template_filters(app: Flask, settings: Settings) -> None:
    """Add filters for dates, times, group names and other languages' text."""
    zone = settings.timezone

    def spoken(say: Callable[..., str], *more: object) -> Callable[[Any], str]:
        return lambda value: say(value, request_language(), *more)

    def short_date(moment: datetime | date) -> str:
        day = moment.astimezone(zone).date() if isinstance(moment, datetime) else moment
        width = "short" if day.year == today().year else "long"
        return i18n.format_day(day, request_language(), width)

    def clock(moment: datetime) -> str:
        return i18n.format_clock(moment.astimezone(zone).time(), request_language())

    def short_time(moment: datetime) -> str:
        return f"{short_date(moment)}, {clock(moment)}"

    app.jinja_env.filters |= {
        "local_time": spoken(i18n.format_time, zone),
        "local_date": spoken(i18n.format_date, zone),
        "local_clock": clock,
        "short_date": short_date,
        "short_time": short_time,
        "local_day": spoken(i18n.format_day, "long"),
        "local_month": spoken(i18n.format_month),
        "local_weekday": spoken(i18n.format_weekday),
        "local_number": format_number,
        "in_sentence": in_sentence,
        "at_start": i18n.at_start,
        "lang_attr": lang_attr,
        "with_lang": with_lang,
    }


def lang_attr(words: str, page: str = "") -> Markup:
    """Return a `lang` attribute for an element whose text may be in another language.

    Screen readers need it to pronounce the text (WCAG 3.1.2): `<p{{ group.summary|lang_attr }}>`.
    `page` is the language of the page, by default the request's.
    """
    page = page or request_language()
    language = words.language if words and isinstance(words, i18n.TextIn) else page
    return Markup(' lang="{}"').format(language) if language != page else NOT_MARKED


def with_lang(words: str) -> Markup:
    """Return text, in a span with `lang` if it is in another language."""
    attribute = lang_attr(words)
    return Markup("<span{}>{}</span>").format(attribute, words) if attribute else escape(words)


def in_sentence(name: str) -> Markup:
    """Return a group's name for a sentence, with a `lang` span if it is in another language."""
    name = name or "…"  # an intruder may have written none
    before, _name, after = i18n.group_in_sentence(name, request_language()).partition(name)
    return Markup("{}{}{}").format(before, with_lang(name), after)


def _language_url(code: str, path: str = "") -> str:
    """Return the URL of this page, or of a path, in another language."""
    kept = {} if path else {name: request.args[name] for name in SAID if name in request.args}
    return f"{path or quote(request.path)}?{urlencode({**kept, 'lang': code})}"


def versions_of(folder: Path) -> dict[str, str]:
    """Map each static file to a hash of its content, which makes its URL cacheable forever.

    All are read at the start, so no visitor's path is ever opened.
    """
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:10]
        for file in folder.rglob("*")
        if file.is_file()
    }
