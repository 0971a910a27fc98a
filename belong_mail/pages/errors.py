"""Error pages: what went wrong, and what the reader can do."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from traceback import walk_tb
from typing import cast

from flask import Flask, g, render_template, request, url_for
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TooManyRequests,
)

from belong_mail.accounts.service import NotFound as LeadNotFound
from belong_mail.core import i18n
from belong_mail.core.database_errors import error_name
from belong_mail.core.db import now
from belong_mail.core.tokens import BadToken, NothingLeft
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups import service as groups
from belong_mail.groups.presenters import GroupView, group_view
from belong_mail.groups.service import GroupHasEnded, GroupIsEnding
from belong_mail.newsletters.service import InvalidState
from belong_mail.pages.signed_out import has_large_file, texts_of
from belong_mail.web.context import SAFE, page_of_press, services, transaction
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language

log = logging.getLogger(__name__)
# Retry-After in seconds while the database is unavailable.
RETRY_AFTER_SECONDS = 120
MOST_FRAMES = 12
CHUNK_OCTETS = 64 * 1024
ErrorPage = tuple[str, int, dict[str, str]]
NOT_HERE = 404
NOT_FOUND = (
    NOT_HERE,
    gettext_noop("We can’t find this page"),
    gettext_noop("The link may be old or have a typo."),
)
OUR_FAULT = (
    500,
    gettext_noop("Something went wrong on our end"),
    gettext_noop("Please try again in a few minutes. If it happens again, write to the office."),
)
# Links of others, unknown, old and malformed links get the same words, so that guesses reveal
# nothing.
MESSAGES: dict[type[Exception], tuple[int, str, str]] = {
    NotFound: NOT_FOUND,
    LeadNotFound: NOT_FOUND,
    BadToken: (
        NOT_HERE,
        gettext_noop("This link doesn’t work anymore"),
        gettext_noop("Choose your group and fill in the form again. We’ll email you a new link."),
    ),
    NothingLeft: (
        410,
        gettext_noop("This link is no longer needed"),
        gettext_noop(
            "It has been used, or what it was for has ended. We’ve deleted the request or"
            " membership, and you won’t get any email because of it."
        ),
    ),
    GroupIsEnding: (
        NOT_HERE,
        gettext_noop("This group is coming to an end"),
        gettext_noop("It isn’t taking new members anymore. Maybe another group is for you."),
    ),
    GroupHasEnded: (
        NOT_HERE,
        gettext_noop("This group has ended"),
        gettext_noop("It has no sign-up and sends no email. Maybe another group is for you."),
    ),
    InvalidState: (
        409,
        gettext_noop("It’s too late for that change"),
        gettext_noop(
            "Someone made a change before you, or the page was out of date."
            " Nothing was changed. Open the page again."
        ),
    ),
    MethodNotAllowed: (
        405,
        gettext_noop("Something went wrong with that link or button"),
        gettext_noop("Go back to the page before, then select its button."),
    ),
    HTTPException: (  # It has a status of its own.
        400,
        gettext_noop("We couldn’t read that request"),
        gettext_noop("Nothing was changed. Open the page again and try once more."),
    ),
    InternalServerError: OUR_FAULT,  # A view raised it after it was logged.
    Exception: OUR_FAULT,
}
# Title and advice while too many requests wait.
LATER: dict[type[HTTPException], tuple[str, str]] = {
    TooManyRequests: (
        gettext_noop("Please wait a moment"),
        gettext_noop("We got a lot of requests in a short time. Try again in %(wait)s (%(time)s)."),
    ),
    ServiceUnavailable: (
        gettext_noop("We can’t do this right now"),
        gettext_noop("A lot of forms are waiting to be read. Try again in %(wait)s (%(time)s)."),
    ),
}


# First segments of the paths of leaders' and the office's pages.
DESK = {"lead", "office", "account"}
# Advice about a link that no longer works, by endpoint, with a button's endpoint and text.
SIGN_IN = (
    gettext_noop("Ask for a new link. We’ll email it to you."),
    "sign_in.ask",
    gettext_noop("Sign in"),
)
MY_GROUPS = (
    gettext_noop(
        "On “My groups” you can leave a group, pause it, or come back. The email you get from"
        " there also has a new link to cancel a notification."
    ),
    "self_service.ask",
    gettext_noop("My groups"),
)
NOT_ME = (
    gettext_noop(
        "You don’t need to do anything. If no one confirms a request, we delete it after 7 days. If"
        " someone did, you can leave the group on “My groups.”"
    ),
    *MY_GROUPS[1:],
)
NAME_AGAIN = (
    gettext_noop("Enter the inbox again on your group’s page. We’ll email it a new link."),
    "lead.home",
    gettext_noop("Groups I lead"),
)
INVITED = (
    gettext_noop(
        "If you’ve accepted, sign in. Invitations work for 7 days, or until a newer one arrives."
        " Look for a newer email, or ask the %(program_name)s office to invite you again."
    ),
    *SIGN_IN[1:],
)
NEXT_STEPS = {
    "shared_mailbox.confirm": NAME_AGAIN,
    "sign_in.accept": INVITED,
    "sign_in.confirm": SIGN_IN,
    "subscriptions.act": MY_GROUPS,
    "subscriptions.manage": MY_GROUPS,
    "subscriptions.not_me": NOT_ME,
    "subscriptions.one_click": MY_GROUPS,
    "subscriptions.welcome": MY_GROUPS,
    "waiting_list.forget": MY_GROUPS,
}


def register_error_pages(app: Flask) -> None:
    for kind in MESSAGES:
        app.register_error_handler(kind, known_error)
    for kind in LATER:
        app.register_error_handler(kind, later)
    app.register_error_handler(RequestEntityTooLarge, too_long)
    app.register_error_handler(DBAPIError, no_database)
    app.logger.addFilter(WithoutValues())


class WithoutValues(logging.Filter):
    """Logs an error's type and lines, without the URL and the traceback's values."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            record.msg, record.args = message_of(record.exc_info[1]), ()
            record.exc_info = record.exc_text = None
        return True


def message_of(error: BaseException) -> str:
    """Return an error's type, endpoint and lines, innermost first.

    Values are left out, as they may be addresses, and URLs, as they may contain secrets.
    """
    page = request.endpoint if request else None
    lines = [f"{each.f_globals.get('__name__')}:{at}" for each, at in walk_tb(error.__traceback__)]
    return f"{type(error).__name__} in {page}, at {' < '.join(lines[: -MOST_FRAMES - 1 : -1])}"


def known_error(error: Exception) -> ErrorPage:
    code, title, advice = next(MESSAGES[kind] for kind in type(error).__mro__ if kind in MESSAGES)
    if isinstance(error, HTTPException):
        code = error.code or code
    elif code == OUR_FAULT[0]:
        log.error("%s", message_of(error))
    if isinstance(error, BadToken) and request.endpoint in NEXT_STEPS and code == NOT_HERE:
        advice, endpoint, words = NEXT_STEPS[request.endpoint]
        return error_page(code, _(title), _(advice), button=(url_for(endpoint), _(words)))
    may_have_words = isinstance(error, InvalidState | LeadNotFound) and request.method == "POST"
    # A draft may be sent or deleted while someone edits it.
    texts = texts_of(request.form.values()) if may_have_words else []
    shows_groups = code == NOT_HERE and not _start_of_desk()
    button = None
    if isinstance(error, InvalidState):
        button = page_of_press(), _("Open the page again")
    return error_page(
        code, _(title), _(advice), button=button, shows_groups=shows_groups, texts=texts
    )


def too_long(_error: RequestEntityTooLarge) -> ErrorPage:
    """Read the whole body, as otherwise the connection would break, and show an error page."""
    while request.environ["wsgi.input"].read(CHUNK_OCTETS):
        pass
    words = _("Back to the page")
    if has_large_file():
        said = _(
            "Nothing was added. Go back to the page and choose a smaller file. The page says how"
            " large it can be."
        )
        button = page_of_press(), words
        return error_page(413, _("That file is too large"), said, button=button)
    said = _(
        "Nothing was saved. Up to half a megabyte can be sent at once. Select your browser’s Back"
        " button: most browsers still have what you typed. Shorten it, and send it again."
    )
    # Without script it would open an empty form.
    return error_page(413, _("That’s too long to send"), said, button=("", words))


def _start_of_desk() -> tuple[str, str] | None:
    """Return a link to leaders' or the office's first page, and its text, or None."""
    if request.path.split("/")[1] not in DESK:
        return None
    if "account" in g and g.is_office:
        return url_for("office.home"), _("Today")
    return url_for("lead.home"), _("Groups I lead")


def later(error: TooManyRequests | ServiceUnavailable) -> ErrorPage:
    """Show when to try again, and send Retry-After (RFC 9110, 10.2.3).

    `web.context.throttle` sets the time. The browser keeps what was typed.
    """
    title, words = LATER[type(error)]
    at = cast("datetime", error.retry_after)
    wait, language = max(1, round((at - now()).total_seconds())), request_language()
    clock = at.astimezone(services().settings.timezone).time()
    advice = _(
        words,
        wait=i18n.format_wait(timedelta(seconds=wait), language),
        time=i18n.format_clock(clock, language),
    )
    if request.method not in SAFE:
        advice = f"{advice} {_nothing_lost()}"
    return error_page(error.code, _(title), advice, retry_after=wait)


def no_database(error: DBAPIError) -> ErrorPage:
    """Show an error page without using the database."""
    log.error("The database cannot be used: %s", error_name(error))
    title, _later = LATER[ServiceUnavailable]
    return error_page(503, _(title), _nothing_lost(), retry_after=RETRY_AFTER_SECONDS)


def error_page(
    code: int,
    title: str,
    advice: str,
    *,
    shows_groups: bool = False,
    retry_after: int = 0,
    button: tuple[str, str] | None = None,
    texts: Sequence[str] = (),
) -> ErrorPage:
    shown = {"title": title, "advice": advice, "button": button, "texts": texts, "code": code}
    listed = _groups() if shows_groups else []
    page = render_template("errors/error.html", groups=listed, start=_start_of_desk(), **shown)
    return page, code, {"Retry-After": str(retry_after)} if retry_after else {}


def _nothing_lost() -> str:
    """Say that nothing was lost, and how to send the form again."""
    if request.method in SAFE:
        return _("Nothing was saved, and nothing was lost. Please try again in a few minutes.")
    return _(
        "Nothing was saved, but what you typed isn’t lost. Reload this page in a few minutes,"
        " and your browser will ask whether to send it again."
    )


def _groups() -> list[GroupView]:
    """List the groups for a page; none if the database is unavailable."""
    try:
        with transaction() as session:
            listed = [each for each in groups.listed(session) if not each.is_ending]
            return [group_view(each, request_language()) for each in listed]
    except DBAPIError:
        return []
