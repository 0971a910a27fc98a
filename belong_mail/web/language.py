"""The language of a request, without a cookie, and translation into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from babel.support import LazyProxy
from flask import g, has_request_context, request
from markupsafe import Markup

from belong_mail.core import i18n

# Returns the object behind `g`: the proxy costs more than the lookup, which each text needs.
_kept: Callable[[], Any] = g._get_current_object  # noqa: SLF001


def request_language() -> str:
    """Return the language of the URL, else of the browser, else the default."""
    if not has_request_context():
        return i18n.DEFAULT
    kept = _kept()
    try:
        language: str = kept.language
    except AttributeError:
        preferred = request.accept_languages.best_match(i18n.NAMES)
        language = kept.language = chosen_language() or i18n.known_language(preferred)
    return language


def chosen_language() -> str:
    """Return the language in the URL, or "" if there is none of ours."""
    kept = _kept()
    try:
        chosen: str = kept.chosen_language
    except AttributeError:
        named = request.args.get("lang", "")
        chosen = kept.chosen_language = named if named in i18n.NAMES else ""
    return chosen


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Use another language within the block."""
    before = request_language()
    g.language = code
    try:
        yield
    finally:
        g.language = before


def gettext(message: str, **values: object) -> str:
    """Translate into the request's language, and fill values in."""
    words = _catalog().gettext(message)
    return words % values if values else words


def lazy_gettext(message: str, **values: object) -> LazyProxy:
    """Translate each time the text is shown, as a form's label needs."""
    return LazyProxy(gettext, message, enable_cache=False, **values)


def format_number(number: int) -> str:
    """Return a number in the request's language, as in “12,000”."""
    return i18n.format_number(number, request_language())


def page_gettext(message: str, **values: object) -> Markup:
    """Translate for a page; the text may have markup, which is escaped in values."""
    return marked_up(_catalog().gettext(message), values)


def page_ngettext(one: str, many: str, num: int, **values: object) -> Markup:
    """Translate for a number of things, as `page_gettext` does."""
    return marked_up(_catalog().ngettext(one, many, num), {"num": format_number(num), **values})


def _catalog() -> i18n.Catalog:
    return i18n.catalog(request_language())


def marked_up(words: str, values: dict[str, object]) -> Markup:
    """Fill values in; the catalogs double literal percent signs only where there are values."""
    return Markup(words) % values if "%" in words else Markup(words)  # noqa: S704 - our own words
