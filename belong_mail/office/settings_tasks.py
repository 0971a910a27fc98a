"""What the worker does with settings that the office has changed: use them, and tell of them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core import site_settings
from belong_mail.core.db import now
from belong_mail.delivery import outbox
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State

SETTINGS_CHANGED = "settings-changed"


def apply_changes(session: Session, mailer: Mailer) -> None:
    """Write emails with what the settings are now; tell everyone of the office what has changed."""
    current = mailer.site(session)
    mailer.renderer.use(postal_address=current.postal_address, help_lines=current.help_lines)
    changed = site_settings.unannounced(session)
    for each in changed:
        each.announced, each.announced_at = each.value, now()
    if changed:
        for account in session.scalars(select(Account).where(Account.is_office)):
            outbox.post(session, SETTINGS_CHANGED, account_id=account.id)
    session.flush()


def settings_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell somebody of the office that settings were changed, and where to see them."""
    account = session.get(Account, delivery.account_id)
    if account is None or not invitations.is_proven_office(mailer.opener, account):
        raise SkipDelivery(State.WITHDRAWN)
    to = invitations.account_address(mailer.opener, mailer.index, account)
    url = mailer.links.page("office_settings.listed", account.language)
    return Email(to=to, language=account.language, context={"settings_url": url})
