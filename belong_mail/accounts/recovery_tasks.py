"""Begin recoveries, and tell of them: for the worker.

Whoever breaks into the web can ask for one. But it begins by a link alone that was mailed to the
account and used, and is never silent: the owner, the office and the other leaders hear of it.
"""

from datetime import timedelta

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, recovery, right_tasks
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account, Recovery, SignIn
from belong_mail.accounts.recovery import LET_IN, RECOVERED, RECOVERY, STARTED
from belong_mail.accounts.tasks import SIGN_IN
from belong_mail.core import audit, rate_limits
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import HOUR, RECOVERIES_RATE, RECOVERY_RATE, WorkerLimit
from belong_mail.core.retention import RECOVERY_AGE
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.mailer import Email, Mailer, post_to_address, read_posted, signed_from
from belong_mail.delivery.models import Delivery

# So much earlier than the worker's the web's clock may let a recovery be used.
CLOCK_GAP = timedelta(minutes=10)


def receive_recovery(session: Session, keyring: Keyring, job: Job) -> None:
    """Begin a recovery, or note that one has ended; and tell those concerned, if that is so."""
    said = keyring.open_job(job)
    account = session.scalar(select(Account).where(Account.public_id == said["account"]))
    if account is None or not accounts.may_sign_in(session, account):
        return
    address = invitations.account_address(keyring.opener, keyring.index, account)
    if identity_tasks.is_linked(session, keyring, account):
        return
    if not _is_true(session, keyring, account, said) or not _may(session, account, said["what"]):
        return
    own = {"what": said["what"], "name": "", "is_you": "yes"}
    if said["what"] == STARTED:
        own["recovery"] = _begin(session, account)
    post_to_address(session, keyring, RECOVERY, address, account.language, None, **own)
    groups = [
        group
        for group in accounts.groups_of(session, account)
        if invitations.is_proven_lead(session, keyring.opener, account, group)
    ]
    right_tasks.tell(
        session, keyring, said["what"], account, groups, is_of_office=False, kind=RECOVERY
    )


def _is_true(session: Session, keyring: Keyring, account: Account, said: dict[str, str]) -> bool:
    """Tell whether what the web says is so, by what is stored."""
    if said["what"] == STARTED:
        return _is_asked(session, account, said["link"])
    if said["what"] == LET_IN:
        colleague = right_tasks.office_account(session, keyring, said["by"])
        return colleague is not None and colleague is not account
    return said["what"] == RECOVERED and _take_used(session, account)


def _take_used(session: Session, account: Account) -> bool:
    """Delete a recovery that was used, and tell whether there was one whose day had passed.

    The worker alone begins one, so nobody makes this up. Whether there is a passkey again by now
    says nothing: whoever got in adds one at once.
    """
    used = delete(Recovery).where(
        Recovery.account_id == account.id,
        Recovery.used_at.is_not(None),
        Recovery.started_at <= now() - recovery.WAIT + CLOCK_GAP,
    )
    return session.scalar(used.returning(Recovery.id)) is not None


def _is_asked(session: Session, account: Account, link: str) -> bool:
    """Tell whether a sign-in link that was mailed and used asks for an account's one recovery."""
    used = select(SignIn.id).where(
        SignIn.public_id == link,
        SignIn.account_id == account.id,
        SignIn.used_at > now() - HOUR,
        exists().where(Delivery.kind == SIGN_IN, Delivery.about_id == SignIn.id),
    )
    begun = select(Recovery.id).where(
        Recovery.account_id == account.id,
        or_(Recovery.used_at.is_not(None), Recovery.started_at > now() - RECOVERY_AGE),
    )
    if session.scalar(used) is None or session.scalar(begun) is not None:
        return False
    return accounts.has_passkey(session, account)


def _begin(session: Session, account: Account) -> str:
    """Begin a recovery, in place of one that is over, and return its public id."""
    recovery.stop(session, account)
    begun = Recovery(account_id=account.id)
    session.add(begun)
    session.flush()
    audit.record(session, Kind.RECOVERY_STARTED, account=account)
    return begun.public_id


def _may(session: Session, account: Account, what: str) -> bool:
    """Count what is told of an account, unless it was too often, for it or for all together.

    That one was recovered is always told: each took a day.
    """
    if what == RECOVERED:
        return True
    uses = (
        (b"recovery/" + account.public_id.encode(), RECOVERY_RATE),
        (b"recoveries", RECOVERIES_RATE),
    )
    return rate_limits.try_uses(session, uses, now(), WorkerLimit)


def recovery_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell somebody of their recovery, or of that of one whom they lead a group with."""
    to, said = read_posted(mailer.opener, delivery)
    language = said["language"]
    is_you = bool(said.get("is_you"))
    stop_url = ""
    if is_you and said["what"] == STARTED:
        at = signed_from(delivery, Purpose.STOP_RECOVERY)
        named = said["recovery"]
        stop_url = mailer.links.signed(
            "sign_in.stop_recovery", Purpose.STOP_RECOVERY, named, at, language
        )
    context = {
        "what": said["what"],
        "name": said["name"],
        "groups": said.get("groups", "").splitlines(),
        "is_you": is_you,
        "stop_url": stop_url,
        "sign_in_url": mailer.links.page("sign_in.ask", language),
        "ready_at": delivery.created_at + recovery.WAIT,
    }
    return Email(to, language, context)
