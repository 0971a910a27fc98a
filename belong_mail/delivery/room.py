"""A room's `declarations.py`: its emails, jobs, retention and wrapped columns.

It goes: new ones are entered by the decorators of `delivery.work`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.retention import Rule
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import WrappedColumn
from belong_mail.mail.message.mime import Envelope

# Says what an email says and to whom, or raises SkipDelivery; its templates have the kind's name.
EmailWriter = Callable[[Session, Mailer, Delivery], Email]
# The same for a copy of an issue, which is composed as the issue is.
CopyWriter = Callable[[Session, Mailer, Delivery], Envelope]
# Does what a job asks for; the job is deleted in the same transaction.
Task = Callable[[Session, Keyring, Job], None]
MailerTask = Callable[[Mailer, Session, Keyring, Job], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    # By kind of delivery.
    emails: Mapping[str, EmailWriter] = field(default_factory=dict)
    copies: Mapping[str, CopyWriter] = field(default_factory=dict)
    # By kind of job.
    tasks: Mapping[str, Task] = field(default_factory=dict)
    mailer_tasks: Mapping[str, MailerTask] = field(default_factory=dict)
    # Those of them that look an address up which anyone may have typed: `core.jobs` limits them.
    lookups: tuple[str, ...] = ()
    # By what `flask purge` calls the rows that it removes.
    retention: Mapping[str, Rule] = field(default_factory=dict)
    # Columns that are kept for long.
    wrapped: tuple[WrappedColumn, ...] = ()
    # Columns that are not wrapped anew, for they are not kept for long: what that is, and when it
    # goes, in words for an operator.
    short_lived: Mapping[str, str] = field(default_factory=dict)
