"""Bringing a database back into the form in which the version before step 0014 wrote it."""

import hashlib
import json

from sqlalchemy import select

from belong_mail.core.decryption import Keyring
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.mailer import SEALED_ARGUMENTS, read_posted
from belong_mail.delivery.models import Delivery
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import ADDRESS_COLUMN, address_of
from belong_mail.newsletters.issue_mailer import TEMPLATE_COLUMN, issue_row
from belong_mail.newsletters.models import Newsletter, RenderedIssue

OF_REQUESTS = "requests.sealed"


def write_as_before(services: Services, keyring: Keyring) -> None:
    """Wrap and seal all that is there as older versions did."""
    opener, seal = keyring.opener, services.sealer.seal
    with services.writing.begin() as session:
        for member in session.scalars(select(Subscription)):
            address = address_of(keyring, member).encode()
            member.wrapped_address = opener.wrap(address, ADDRESS_COLUMN, member.public_id)
        for frozen in session.scalars(select(RenderedIssue)):
            issue = session.get_one(Newsletter, frozen.newsletter_id)
            made = opener.unwrap(frozen.wire, TEMPLATE_COLUMN, issue_row(issue, frozen.language))
            frozen.wire = opener.wrap(made, TEMPLATE_COLUMN, f"{issue.public_id}/{frozen.language}")
        for mail in session.scalars(select(Delivery).where(Delivery.kind == "no-groups")):
            _to, said = read_posted(opener, mail)
            beside = hashlib.sha256(mail.sealed_to or b"").hexdigest()
            mail.sealed_arguments = opener.wrap(json.dumps(said).encode(), SEALED_ARGUMENTS, beside)
        for request in session.scalars(select(Job)):
            typed = json.loads(opener.open(request.sealed or b"", sealed_for(request.kind)))
            del typed["group"]
            request.sealed = seal(json.dumps(typed).encode(), OF_REQUESTS)
