"""Error pages: what went wrong, what the reader can do now."""

import logging

from flask import Flask, render_template, request
from flask_babel import gettext as _
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException, NotFound

from belong_mail.accounts.service import NotYours
from belong_mail.newsletters.service import NotNow
from belong_mail.tokens import BadToken

log = logging.getLogger(__name__)

Page = tuple[str, int]


def register_error_pages(app: Flask) -> None:
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(BadToken, bad_link)
    app.register_error_handler(NotYours, not_yours)
    app.register_error_handler(NotNow, not_now)
    app.register_error_handler(DBAPIError, no_database)
    app.register_error_handler(Exception, unexpected)


def http_error(error: HTTPException) -> Page:
    """Say what a status means to a person."""
    code = error.code or 500
    if code == 404:  # noqa: PLR2004
        return error_page(
            code,
            _("This page is not here"),
            _("The address may be old or mistyped. Start from the list of groups."),
        )
    if code == 413:  # noqa: PLR2004
        return error_page(
            code,
            _("This is too long to send"),
            _("Nothing was stored. Go back, shorten what you wrote and send it again."),
        )
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


def not_yours(_error: NotYours) -> Page:
    """Another group's, or nobody's: the same page, so that a guess learns nothing."""
    return http_error(NotFound())


def not_now(_error: NotNow) -> Page:
    """Somebody was faster, or the button is an old one."""
    return error_page(
        409,
        _("This cannot be done any more"),
        _("Somebody was faster, or the page was old. Nothing was changed: look at it again."),
    )


def bad_link(_error: BadToken) -> Page:
    """Old, bent, foreign or unknown: one page, one status, so that a guess learns nothing."""
    return error_page(
        404,
        _("This link does not work any more"),
        _("Choose your group and fill in the form again, and we mail you a new link."),
    )


def no_database(error: DBAPIError) -> Page:
    """Nothing could be read or stored; a page still comes."""
    log.error("The database cannot be used: %s", type(error.orig).__name__)
    return error_page(
        503,
        _("We cannot do this right now"),
        _("Nothing was stored. Please try again in a few minutes."),
    )


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


def error_page(code: int, title: str, advice: str) -> Page:
    return render_template("errors/error.html", title=title, advice=advice, is_private=True), code
