"""The worker's tasks for settings that the office has changed: use them, and announce them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core import site_settings
from belong_mail.core.i18n import DEFAULT
from belong_mail.delivery import outbox
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, post_to_address, read_posted
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import Work, each_minute, writes

SETTINGS_CHANGED = "settings-changed"


@each_minute("Changed settings are not used")
def apply_changes(work: Work) -> None:
    """Write emails with the settings that all were told of; tell of those that have changed.

    A change is used a minute after it was told of, when that has been committed.
    """
    session, current = work.session, work.mailer.site(work.session)
    work.mailer.renderer.use(postal_address=current.postal_address, help_lines=current.help_lines)
    changed = site_settings.unannounced(session)
    for each in changed:
        each.announced = each.value
    if changed:
        _tell(work)
    session.flush()


def _tell(work: Work) -> None:
    """Tell the inbox too: the web may write rows that say nobody is of the office."""
    post_to_address(work.session, work.keys, SETTINGS_CHANGED, work.mailer.office, DEFAULT)
    for account in work.session.scalars(select(Account).where(Account.is_office)):
        outbox.post(work.session, SETTINGS_CHANGED, account_id=account.id)


@writes(SETTINGS_CHANGED)
def settings_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell the inbox, or a proven colleague of the office, where to see the settings."""
    if delivery.account_id is None:
        to, said = read_posted(mailer.opener, delivery)
        language = said["language"]
    else:
        account = session.get(Account, delivery.account_id)
        if account is None or not invitations.is_proven_office(mailer.opener, account):
            raise SkipDelivery(State.WITHDRAWN)
        to = invitations.account_address(mailer.opener, mailer.index, account)
        language = account.language
    url = mailer.links.page("office.settings", language)
    context = {"settings_url": url, "is_office": delivery.account_id is not None}
    return Email(to=to, language=language, context=context)
