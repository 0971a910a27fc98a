"""Error pages: what went wrong, what the reader can do now."""

import logging
from datetime import datetime, timedelta

from flask import Flask, render_template, request
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import (
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TooManyRequests,
)

from belong_mail import languages
from belong_mail.accounts.service import NotYours
from belong_mail.current import SAFE, parts, transaction
from belong_mail.db import now
from belong_mail.groups import service as groups
from belong_mail.groups.cards import Card, card
from belong_mail.languages import marked
from belong_mail.newsletters.service import NotNow
from belong_mail.tokens import BadToken

log = logging.getLogger(__name__)

SOON = 120
"""Seconds after which trying again is worth it, when nobody knows better."""
Page = tuple[str, int, dict[str, str]]
NOT_HERE = 404
NOT_FOUND = (
    NOT_HERE,
    marked("This page is not here"),
    marked("The address may be old or mistyped. Start from the list of groups."),
)
SAID: dict[type[Exception], tuple[int, str, str]] = {
    NotFound: NOT_FOUND,
    NotYours: NOT_FOUND,
    BadToken: (
        NOT_HERE,
        marked("This link does not work any more"),
        marked("Choose your group and fill in the form again, and we mail you a new link."),
    ),
    NotNow: (
        409,
        marked("This cannot be done any more"),
        marked("Somebody was faster, or the page was old. Nothing was changed: look at it again."),
    ),
    RequestEntityTooLarge: (
        413,
        marked("This is too long to send"),
        marked("Nothing was stored. Go back, shorten what you wrote and send it again."),
    ),
}
"""What always has the same words: another’s and nobody’s, old, bent and foreign links alike, so
that a guess learns nothing."""


def register_error_pages(app: Flask) -> None:
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(TooManyRequests, too_many)
    app.register_error_handler(ServiceUnavailable, busy)
    for kind in SAID:
        app.register_error_handler(kind, known)
    app.register_error_handler(DBAPIError, no_database)
    app.register_error_handler(Exception, unexpected)


def http_error(error: HTTPException) -> Page:
    """Say what a status means to a person."""
    code = error.code or 500
    if code == 405:  # noqa: PLR2004
        return error_page(
            code,
            _("This page does not work that way"),
            _("Open the link again and press the button on the page."),
        )
    return error_page(
        code,
        _("This request could not be understood"),
        _("Nothing was changed. Open the page again and try once more."),
    )


def known(error: Exception) -> Page:
    code, title, advice = next(SAID[kind] for kind in type(error).__mro__ if kind in SAID)
    return error_page(code, _(title), _(advice), shows_groups=code == NOT_HERE)


def too_many(error: TooManyRequests) -> Page:
    """Say when to come back, to people and to programs (RFC 9110, section 10.2.3)."""
    given = error.retry_after
    at = given if isinstance(given, datetime) else now() + timedelta(seconds=given or SOON)
    wait = max(1, round((at - now()).total_seconds()))
    time = languages.time_in_words(at, str(get_locale()), parts().settings.timezone)
    return error_page(
        429,
        _("Please wait a little"),
        _("There were many requests in a short time. Come back after %(time)s.", time=time),
        retry_after=wait,
    )


def busy(_error: ServiceUnavailable) -> Page:
    return error_page(503, _("We cannot do this right now"), _nothing_lost(), retry_after=SOON)


def no_database(error: DBAPIError) -> Page:
    """Nothing could be read or stored; a page still comes."""
    log.error("The database cannot be used: %s", type(error.orig).__name__)
    return busy(ServiceUnavailable())


def unexpected(error: Exception) -> Page:
    """Log where it happened; the values, which may be addresses, stay out of the log."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "somewhere"
    log.error("%s at %s, in %s", type(error).__name__, where, request.endpoint)
    return error_page(
        500,
        _("Something went wrong on our side"),
        _("Please try again in a few minutes. If it happens again, write to the office."),
    )


def error_page(
    code: int, title: str, advice: str, *, shows_groups: bool = False, retry_after: int = 0
) -> Page:
    page = render_template(
        "errors/error.html",
        title=title,
        advice=advice,
        groups=_groups() if shows_groups else [],
        is_private=True,
    )
    return page, code, {"Retry-After": str(retry_after)} if retry_after else {}


def _nothing_lost() -> str:
    """Say that what was there is still there, and how to send again what was typed."""
    if request.method in SAFE:
        return _("Nothing was stored. Nothing was lost either. Please try again in a few minutes.")
    return _(
        "Nothing was stored. What you typed is not lost: load this page again in a few minutes, and"
        " your browser asks whether to send it once more."
    )


def _groups() -> list[Card]:
    """List the groups to choose from; none where the database does not answer."""
    try:
        with transaction() as session:
            return [card(group, str(get_locale())) for group in groups.shown(session)]
    except DBAPIError:
        return []
