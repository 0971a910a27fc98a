"""Do what the office asks for; whoever broke into the web can ask for it too."""

from belong_mail.core.rate_limits import RETRY_RATE
from belong_mail.delivery.work import Work, does
from belong_mail.inbound import bounces
from belong_mail.inbound.jobs import AcceptBounces
from belong_mail.ops import figures, outbox


@does(outbox.RetryEmail)
def retry_email(work: Work, _asked: outbox.RetryEmail) -> None:
    """Let what waits for its next try be tried: a relay that is down is not knocked at all day."""
    work.use(outbox.RETRIED, RETRY_RATE)
    outbox.ask_retry(work.session)


@does(AcceptBounces)
def accept_bounces(work: Work, _asked: AcceptBounces) -> None:
    """Believe that addresses do not exist: the web could end these memberships without it."""
    bounces.override_breaker(work.session)
    figures.note_breaker(work.session)
