"""What the worker does with settings that the office has changed: use them, and tell of them."""

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core import rate_limits, site_settings
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.encryption import sealed_for
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.jobs import Job
from belong_mail.core.office_copies import NAME as COPIES
from belong_mail.core.office_copies import is_wanted
from belong_mail.core.rate_limits import ALERT_ADDRESS_RATE
from belong_mail.core.site_settings import WRAPPED_COLUMN, SiteSetting
from belong_mail.delivery import outbox
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, post_to_address, read_posted
from belong_mail.delivery.models import Delivery, State
from belong_mail.mail.address import normalise
from belong_mail.newsletters import office_copies
from belong_mail.office.alert_address import NAME as ALERTS

SETTINGS_CHANGED = "settings-changed"
# To everyone who would miss the copies: they end on a day, unless somebody takes that back.
COPIES_END = "copies-end"
# To who gets alerts from now on, or no more.
ALERTS_CHANGED = "alerts-changed"
ALERTS_LIMIT = b"office/alert-address"


def apply_changes(session: Session, mailer: Mailer) -> None:
    """Write emails with the settings that all were told of; tell of those that have changed.

    A change is used a minute after it was told of, when that has been committed.
    """
    current = mailer.site(session)
    mailer.renderer.use(postal_address=current.postal_address, help_lines=current.help_lines)
    changed = site_settings.unannounced(session)
    if office_copies.tell_anew(session, mailer.opener, current, now()):
        _tell_of_copies(session, mailer)
    changed = [each for each in changed if each.name != COPIES or is_wanted(each, current)]
    for each in changed:
        each.announced, each.announced_at = each.value, now()
    if changed:
        _tell_of_settings(session, mailer)
    session.flush()


def _tell_office(session: Session, kind: str) -> None:
    for account in session.scalars(select(Account).where(Account.is_office)):
        outbox.post(session, kind, account_id=account.id)


def _tell_of_settings(session: Session, mailer: Mailer) -> None:
    """Tell the inbox too: the web may write rows that say nobody is of the office."""
    keyring = Keyring(mailer.opener, mailer.index)
    post_to_address(session, keyring, SETTINGS_CHANGED, mailer.office, DEFAULT)
    _tell_office(session, SETTINGS_CHANGED)


def _tell_of_copies(session: Session, mailer: Mailer) -> None:
    """Tell the inbox, who gets alerts, and everyone of the office."""
    keyring = Keyring(mailer.opener, mailer.index)
    told = (mailer.office, mailer.operator, alert_address(session, mailer.opener))
    for address in {normalise(each): each for each in told if each}.values():
        post_to_address(session, keyring, COPIES_END, address, DEFAULT)
    _tell_office(session, COPIES_END)


def alert_address(session: Session, opener: Opener) -> str:
    """Return who gets alerts besides the environment's address, or nothing."""
    row = session.get(SiteSetting, ALERTS)
    with suppress(DecryptionError):
        wrapped = row.wrapped if row is not None else None
        return opener.unwrap(wrapped or b"", WRAPPED_COLUMN, ALERTS).decode()
    return ""


def receive_alert_address(session: Session, keyring: Keyring, job: Job) -> None:
    """Send alerts to one more address from now on, of the district's staff; tell it and the office.

    Who got them until now is told too. No address: nobody else gets them any more.
    """
    address = keyring.opener.open(job.sealed or b"", sealed_for(job.kind)).decode()
    before = alert_address(session, keyring.opener)
    is_same = (address and normalise(address)) == (before and normalise(before))
    if is_same or (address and not keyring.staff.admits(address)):
        return
    if rate_limits.try_use(session, ALERTS_LIMIT, ALERT_ADDRESS_RATE, now()) is None:
        return
    row = session.get(SiteSetting, ALERTS) or SiteSetting(name=ALERTS)
    row.wrapped = keyring.opener.wrap(address.encode(), WRAPPED_COLUMN, ALERTS) if address else None
    row.changed_at = now()
    session.add(row)
    for each, begins in ((before, ""), (address, "yes")):
        if each:
            post_to_address(session, keyring, ALERTS_CHANGED, each, DEFAULT, begins=begins)
    _tell_office(session, SETTINGS_CHANGED)


def settings_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell the inbox or a colleague that settings were changed, and where to see them."""
    to, language, is_office = _recipient(session, mailer, delivery)
    url = mailer.links.page("office_settings.listed", language)
    return Email(to=to, language=language, context={"settings_url": url, "is_office": is_office})


def copies_end_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell that copies end, and from when on, whatever was chosen meanwhile.

    Withdrawn only where the worker itself has done away with its proof: then copies go on, until
    all are told anew.
    """
    ends_at = office_copies.end_at(session, mailer.opener)
    if ends_at is None:
        raise SkipDelivery(State.WITHDRAWN)
    to, language, is_office = _recipient(session, mailer, delivery)
    url = mailer.links.page("office_settings.copies", language)
    context = {"ends_at": ends_at, "copies_url": url, "is_office": is_office}
    return Email(to=to, language=language, context=context)


def alerts_changed_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell an address that it gets alerts from now on, or no more."""
    to, said = read_posted(mailer.opener, delivery)
    return Email(to=to, language=said["language"], context={"begins": bool(said["begins"])})


def _recipient(session: Session, mailer: Mailer, delivery: Delivery) -> tuple[str, str, bool]:
    """Return address, language, and whether they provably work for the office; or withdraw."""
    if delivery.account_id is None:
        to, said = read_posted(mailer.opener, delivery)
        return to, said["language"], False
    account = session.get(Account, delivery.account_id)
    if account is None or not invitations.is_proven_office(mailer.opener, account):
        raise SkipDelivery(State.WITHDRAWN)
    to = invitations.account_address(mailer.opener, mailer.index, account)
    return to, account.language, True
