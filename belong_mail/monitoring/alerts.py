"""Email operators about checks that fail."""

import logging
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.database_errors import NO_DATABASE, error_name, is_too_slow
from belong_mail.core.decryption import DecryptionError
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.rate_limits import ALERT_RATE
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, read_posted
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import Work, each_minute, writes
from belong_mail.monitoring import checks as measuring
from belong_mail.monitoring.checks import CHECKS, Check
from belong_mail.monitoring.measures import Site

ALERT = "alert"
# The complaint when no check can be measured.
NO_ALERT = "No alert is sent"
log = logging.getLogger(__name__)
# The only alert of a worker that has the wrong keys, and so does nothing else.
WRONG_KEYS = Check(
    name="wrong_keys",
    measure=lambda _site, _found: 1.0,
    wrong="The worker's keys don't open the database. It sends no email and reads no request",
    todo=(
        "Run `doctor`: it says which keys are wrong. Nothing is lost. Put the right keys in place"
        " and restart the worker."
    ),
)
# The alert about a check that raised an error.
UNMEASURED = Check(
    name="unmeasured",
    wrong="A check cannot be measured",
    todo=(
        "What it watches may be wrong unnoticed; the other checks go on. Either the database is"
        " slow or locked, or it has a row that we would not write: then look for a break-in."
    ),
)
EMAILED = tuple(check for check in CHECKS if check.emails)
BY_NAME = {check.name: check for check in (*CHECKS, WRONG_KEYS, UNMEASURED)}


def send_alerts(work: Work, checks: Sequence[Check] = EMAILED) -> None:
    """Queue an email to each operator about each check that fails or raises.

    An alert repeats after six hours at the earliest, and not while an earlier one is unsent.
    """
    session, at, addresses = work.session, work.at, work.settings.alert_address
    if not addresses or session.scalar(_UNTOLD) is not None:
        return
    told = rate_limits.used_up(session, map(_key, checks), at)
    untold = [check for check in checks if _key(check) not in told]
    for check, about, words in _troubles(Site(session, work.settings, at), untold):
        if rate_limits.record_use(session, _key(check), ALERT_RATE, at) > at:
            continue  # Another worker has just sent it.
        rate_limits.forget(session, b"notice/" + check.name.encode())
        log.error("%s Run `doctor`.", words)
        for address in addresses:
            work.post(ALERT, address, DEFAULT, check=about.name, words=words)


each_minute(NO_ALERT)(send_alerts)


def _key(check: Check) -> bytes:
    return b"alert/" + check.name.encode()


def _troubles(site: Site, checks: Sequence[Check]) -> list[tuple[Check, Check, str]]:
    """Measure checks; return check, alert and words for each that fails or raises.

    If they cannot be measured together, each is measured alone, so that one does not hide others.
    """
    try:
        with site.session.begin_nested():
            wrong = measuring.wrong(site, checks)
    except Exception as error:
        if isinstance(error, NO_DATABASE) and not is_too_slow(error):
            raise
        if len(checks) > 1:
            return [each for check in checks for each in _troubles(site, [check])]
        words = f"{UNMEASURED.wrong}: {checks[0].name} ({error_name(error)})."
        return [(checks[0], UNMEASURED, words)]
    return [(check, check, check.sentence(value)) for check, value in wrong.items()]


_UNTOLD = select(Delivery.id).where(
    Delivery.kind == ALERT, Delivery.state == State.QUEUED, Delivery.due_at.is_not(None)
)


@writes(ALERT)
def alert_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email an alert to an address that is still in the settings."""
    try:
        to, said = read_posted(mailer.keys.opener, delivery)
    except DecryptionError:
        raise SkipDelivery(State.WITHDRAWN) from None
    if to not in mailer.settings.alert_address:
        raise SkipDelivery(State.WITHDRAWN)
    check = BY_NAME[said["check"]]
    context = {
        "trouble": check.wrong,
        "words": said["words"],
        "todo": check.todo,
        "seen_at": delivery.created_at,
    }
    return Email(to=to, language=DEFAULT, context=context)
