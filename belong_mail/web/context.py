"""Services, transactions and rate limits of a request or a command."""

import hashlib
import hmac
import io
import ipaddress
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import IO, cast
from urllib.parse import urlsplit

import click
from flask import Blueprint, Flask, Request, current_app, g, has_request_context, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from sqlalchemy.orm import Session
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests
from werkzeug.utils import cached_property

from belong_mail.core import audit, logs, rate_limits, site_settings
from belong_mail.core.db import now
from belong_mail.core.email_templates import Renderer
from belong_mail.core.rate_limits import SOURCE_RATE, TRUSTED_SOURCE_RATE, Limit
from belong_mail.core.services import Services

log = logging.getLogger(__name__)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SAFE = {"GET", "HEAD", "OPTIONS"}
# The longest delay of a form; one that would wait longer is refused and not counted.
LONGEST_WAIT = timedelta(minutes=15)
# Retry-After of a refused form.
AGAIN_AFTER = timedelta(minutes=5)


def services() -> Services:
    return cast("Services", current_app.extensions["belong"])


def services_as_set(session: Session) -> Services:
    """Return the services with the office's changes to the settings, for previews."""
    ours = services()
    settings = site_settings.with_changes(session, ours.settings)
    return replace(ours, settings=settings, renderer=Renderer(settings, ours.links))


def today() -> date:
    """Return today's date in local time."""
    return now().astimezone(services().settings.timezone).date()


def page_of_press() -> str:
    """Return the path of the page whose form was posted, or of its nearest parent.

    Uses Referer, which our pages send to our own site only.
    """
    path, referrer = request.path, request.referrer or ""
    if referrer.startswith(services().settings.base_url + "/"):
        path = "/" + urlsplit(referrer).path.lstrip("/\\")
    adapter = current_app.url_map.bind("")
    while path.count("/") > 1:
        try:
            adapter.match(path, "GET")
        except HTTPException:
            path = path.rpartition("/")[0]
        else:
            break
    return path


def show_again() -> None:
    """Show the posted form again, filled in; nothing acts on it."""
    g.is_shown_again = True


def is_shown_again() -> bool:
    return bool(g.get("is_shown_again", False))


@contextmanager
def only_read() -> Iterator[None]:
    """Make the database refuse to write within the block, as in GET."""
    g.is_only_read = True
    yield
    g.is_only_read = False


def is_only_read() -> bool:
    return bool(g.get("is_only_read", False))


def _is_reading() -> bool:
    if not has_request_context():
        return False
    return request.method in SAFE or is_shown_again() or is_only_read()


@contextmanager
def transaction(unrecorded: str = "") -> Iterator[Session]:
    """Run one transaction: it commits at the end of the block, and rolls back on an error.

    The database refuses to write in GET, HEAD and OPTIONS, and when a form is only shown again. The
    audit trail's actor is the signed-in account or the operator. A change by a page needs an audit
    entry, or a reason for none (`unrecorded`); else UnrecordedChange is raised. A command gets an
    entry with its name.
    """
    is_reading = _is_reading()
    with (services().reading if is_reading else services().writing).begin() as session:
        actor: audit.Actor = audit.OPERATOR
        if has_request_context():
            actor = g.get("actor", audit.NOBODY)
        audit.set_actor(session, actor)
        is_watched = not (is_reading or unrecorded or actor is audit.NOBODY)
        if is_watched:
            audit.watch(session)
        yield session
        if is_watched and audit.has_gap(session):
            _close_gap(session, actor)
    for kind in audit.recorded(session):
        logs.event(log, logging.INFO, "recorded", kind=kind)
    if said := logs.noted(session.info):
        logs.event(log, logging.INFO, "stored", **said)


def _close_gap(session: Session, actor: audit.Actor) -> None:
    """Record the name of the command that was run; for a page, raise UnrecordedChange."""
    if actor is not audit.OPERATOR:
        raise audit.UnrecordedChange(request.endpoint)
    words: list[str] = []
    context = click.get_current_context(silent=True)
    while context is not None and context.parent is not None:  # The first name is the program's.
        words.insert(0, context.info_name or "")
        context = context.parent
    audit.record(session, audit.Kind.COMMAND_RUN, detail="-".join(words))


@contextmanager
def read_transaction() -> Iterator[Session]:
    """Run one read-only transaction, for which no writer has to wait."""
    with services().reading.begin() as session:
        yield session


def throttle(session: Session, most_wait: timedelta = LONGEST_WAIT, known_as: str = "") -> datetime:
    """Count a form for its source; return when it may be answered: now, or a little later.

    A source is an address (a /56 in IPv6), stored as a keyed hash that changes daily; a known
    browser is a source of its own. Raises TooManyRequests without counting if the wait would be too
    long, and ServiceUnavailable if too many jobs wait or forms from all sources are too many.
    """
    settings = services().settings
    source = _source(request.remote_addr or "")
    is_trusted = any(source in network for network in settings.trusted_networks)
    at = now()
    waiting = rate_limits.count_waiting(session)
    if waiting >= rate_limits.MAX_WAITING_JOBS and not known_as:
        raise ServiceUnavailable(retry_after=at + AGAIN_AFTER)
    rate = TRUSTED_SOURCE_RATE if is_trusted else SOURCE_RATE
    if waiting >= rate_limits.BUSY_WAITING_JOBS:
        rate = rate_limits.busy_rate(rate)
    whose = known_as or f"{at.date()}/{_subscriber(source)}"
    key = _keyed_hash(f"source/{whose}")
    due_at = rate_limits.try_use(session, key, rate, at, most_wait, Limit)
    if due_at is None:
        raise TooManyRequests(retry_after=at + AGAIN_AFTER)
    if is_trusted or known_as or due_at > at:
        return due_at
    of_all = rate_limits.try_use(
        session, rate_limits.ALL_FORMS, rate_limits.ALL_FORMS_RATE, at, LONGEST_WAIT, Limit
    )
    if of_all is None:
        raise ServiceUnavailable(retry_after=at + AGAIN_AFTER)
    return of_all


def known_cookie() -> str:
    """Return the name of the known-browser cookie."""
    return f"{current_app.config['SESSION_COOKIE_NAME']}-known"


class OwnRequest(Request):
    """Keeps uploads in memory, limited by `MAX_CONTENT_LENGTH`, and never writes them to disk.

    Cookies of the parent domain, which browsers send as well, are ignored.
    """

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        ours = {current_app.config["SESSION_COOKIE_NAME"], known_cookie()}
        sent = super().cookies.items(multi=True)
        return ImmutableMultiDict([each for each in sent if each[0] in ours])

    def _get_file_stream(self, *_args: object, **_options: object) -> IO[bytes]:
        return io.BytesIO()


class CookieSessions(SecureCookieSessionInterface):
    """Sessions in signed cookies; the many requests without a cookie make no signer."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        has_one = self.get_cookie_name(app) in request.cookies
        return super().open_session(app, request) if has_one else self.session_class()


def allow_uploads(blueprint: Blueprint, octets: int) -> None:
    """Allow a large request body for a blueprint's page `add` only, before anything reads it."""

    @blueprint.url_value_preprocessor
    def allow(endpoint: str | None, _values: object) -> None:
        if endpoint == f"{blueprint.name}.add":
            request.max_content_length = octets


def asking_source() -> str:
    """Return a keyed hash of a request's source, for the worker's limits; it is sealed."""
    return _keyed_hash(f"asking/{_subscriber(_source(request.remote_addr or ''))}").hex()


def limit_key(name: str) -> bytes:
    """Return the keyed hash under which a limit, such as a leader's tests, is counted."""
    return _keyed_hash(f"limit/{name}")


def _keyed_hash(message: str) -> bytes:
    key = services().settings.secret_keys[-1].encode()
    return hmac.digest(key, message.encode(), hashlib.sha256)[:16]


def _subscriber(source: Address) -> Address:
    """Return the network that one customer of a provider has (RIPE-690): a /56 in IPv6."""
    if source.version == 6:  # noqa: PLR2004
        return ipaddress.ip_network((source, 56), strict=False).network_address
    return source


def _source(address: str) -> Address:
    """Parse an IP address; invalid ones count as one source."""
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        return ipaddress.IPv4Address(0)
    return getattr(source, "ipv4_mapped", None) or source
