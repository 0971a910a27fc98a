"""Pages for monitoring, and the office's pages about the state of the site."""

import hmac
import logging
from datetime import timedelta

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from belong_mail.accounts import people
from belong_mail.accounts.session import signed_in
from belong_mail.core import logs
from belong_mail.core.database_errors import error_name
from belong_mail.core.db import now, require_writable
from belong_mail.inbound import bounces
from belong_mail.inbound.jobs import AcceptBounces
from belong_mail.inbound.models import last_polled
from belong_mail.monitoring import checks
from belong_mail.monitoring.measures import Site
from belong_mail.newsletters import release
from belong_mail.newsletters.service import InvalidState
from belong_mail.office.service import threads
from belong_mail.office.views import office
from belong_mail.ops import figures, outbox
from belong_mail.ops.findings import check_schema
from belong_mail.web.access import for_office, public
from belong_mail.web.context import services, transaction
from belong_mail.web.page import Page, page

log = logging.getLogger(__name__)

operating = Blueprint("operating", __name__)


def _site(session: Session) -> Site:
    return Site(session, services().settings, now(), is_web=True)


@operating.get("/metrics")
@public
def metrics(session: Session) -> ResponseReturnValue:
    """Return all measures; 404 without the token."""
    token = services().settings.metrics_token
    if not token:
        abort(404)
    given = request.headers.get("Authorization", "").encode("latin-1")
    if not hmac.compare_digest(given, f"Bearer {token}".encode()):
        abort(404)
    media_type = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    return checks.exposition(_site(session)), 200, media_type


@operating.get("/readyz")
@public
def readyz() -> ResponseReturnValue:
    """Answer “ok” if the database is writable and a worker runs; otherwise say why not.

    The checks write nothing. A database that no worker has used yet counts as ready.
    """
    try:
        said = _obstacles()
    except DBAPIError as error:
        words = f"The database cannot be used: {error_name(error)}"
        logs.event(log, logging.ERROR, words)
        said = ["The database does not answer, or takes no changes."]
    words = "\n".join(said or ["ok"]) + "\n"
    return words, 503 if said else 200, {"Content-Type": "text/plain; charset=utf-8"}


def _obstacles() -> list[str]:
    schema = check_schema(services().engine)
    if schema.is_wrong:
        return [schema.words]
    require_writable(services().engine)
    stopping = [check for check in checks.CHECKS if check.stops]
    with transaction() as session:
        wrong = checks.wrong(_site(session), stopping)
    return [check.sentence(value) for check, value in wrong.items()]


office_health = Blueprint("office_health", __name__, url_prefix="/office/health")
# Numbers of days for which bounced memberships can be restored.
UNDO_DAYS = (1, 7, 30)


def _wrong_for_office(site: Site) -> list[str]:
    """Return the sentences of failed checks that are for the office."""
    concern = [check for check in checks.CHECKS if check.office]
    return [check.office for check in checks.wrong(site, concern)]


@office.get("", strict_slashes=False)
@for_office
def home(session: Session) -> Page:
    """Show what the office should do, and whether all is well."""
    site = _site(session)
    return page(
        "office/home.html",
        threads=threads(session),
        undelivered=site.undelivered,
        unreached=session.scalars(people.UNDELIVERED).all(),
        held=[each for each in release.open_issues(session) if each.held_at is not None],
        ending=people.ending(session, signed_in()),
        few=session.execute(people.SHORT_OF_LEADERS).all(),
        bounced=bounces.count_bounced(session, now() - timedelta(days=7)),
        wrong=_wrong_for_office(site),
    )


@office_health.get("")
@for_office
def show(session: Session) -> Page:
    """Show the state of the site in words."""
    since = [(days, now() - timedelta(days=days)) for days in UNDO_DAYS]
    return page(
        "office/health.html",
        wrong=_wrong_for_office(_site(session)),
        inbound=last_polled(session),
        backup_at=figures.noted_at(session, figures.BACKUP),
        breaker_until=figures.breaker_until(session),
        bounced=[(days, bounces.count_bounced(session, moment)) for days, moment in since],
    )


@office_health.post("/<any(retry, accept, undo):verb>")
@for_office
def act(session: Session, verb: str) -> ResponseReturnValue:
    """Retry waiting email; accept that bounced addresses do not exist; or undo such bounces.

    “accept” closes the circuit breaker; “undo” restores the memberships that bounces ended within
    a number of days.
    """
    if verb == "retry":
        outbox.RetryEmail().write(session)
    elif verb == "undo":
        days = request.form.get("days", type=int)
        if days not in UNDO_DAYS:
            abort(400)
        bounces.undo_for_office(session, now() - timedelta(days=days))
    elif figures.breaker_until(session) is None:
        raise InvalidState
    else:
        AcceptBounces().write(session)
    return redirect(url_for(".show", done=verb), 303)
