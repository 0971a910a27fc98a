"""Who gets alerts besides the address in the environment: one colleague, whom the office names.

It is an addition: the environment's address gets every alert too, so nobody is silenced by naming
another one. The web seals the address and cannot read which one is set.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.site_settings import SiteSetting

NAME = "alert_address"
JOB = "alert-address"


def ask(session: Session, sealer: Sealer, address: str) -> None:
    """Have the worker send alerts to one more address; an empty one: to nobody else."""
    audit.record(session, audit.Kind.SETTING_CHANGED, detail=NAME)
    session.add(Job(kind=JOB, sealed=sealer.seal(address.encode(), sealed_for(JOB))))


def set_at(session: Session) -> datetime | None:
    """Return since when somebody else gets alerts; None: nobody does."""
    row = session.get(SiteSetting, NAME)
    return row.changed_at if row is not None and row.wrapped is not None else None
