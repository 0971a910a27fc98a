"""The worker's functions for what the office asks of operations."""

from belong_mail.core.rate_limits import RETRY_RATE
from belong_mail.delivery.work import Work, does, each_minute
from belong_mail.inbound import bounces
from belong_mail.inbound.jobs import AcceptBounces
from belong_mail.ops import figures, outbox

each_minute("The office does not see that many bounces are not believed", figures.IS_BREAKER_OPEN)(
    lambda work: figures.note_breaker(work.session)
)


@does(outbox.RetryEmail)
def retry_email(work: Work, _asked: outbox.RetryEmail) -> None:
    """Retry waiting email within RETRY_RATE, so that a relay that is down is left alone."""
    work.use(outbox.RETRIED, RETRY_RATE)
    outbox.ask_retry(work.session)


@does(AcceptBounces)
def accept_bounces(work: Work, _asked: AcceptBounces) -> None:
    """Apply reports of unknown addresses; the web could also end these memberships directly."""
    bounces.override_breaker(work.session)
    figures.note_breaker(work.session)
