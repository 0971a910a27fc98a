"""What the worker must know of newsletters, beside the issues that it sends."""

from sqlalchemy import select

from belong_mail.delivery.room import Room
from belong_mail.delivery.work import LARGE_WRAPPED_ROWS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.newsletters import (
    emails,
    oversight,
    retention,
)
from belong_mail.newsletters.issue_mailer import TEMPLATE_COLUMN
from belong_mail.newsletters.models import Newsletter, RenderedIssue

_ISSUE = (
    select(Newsletter.public_id + "/" + Group.public_id)
    .join(Group, Group.id == Newsletter.group_id)
    .where(Newsletter.id == RenderedIssue.newsletter_id)
    .scalar_subquery()
)
NEWSLETTERS = Room(
    emails={
        "issue-held": emails.held_email,
        "approve-issue": emails.approval_email,
        oversight.OFFICE_ACTED: emails.office_acted_email,
    },
    copies={"newsletter-copy": emails.office_copy, "newsletter-test": emails.test_copy},
    retention={
        "copies of old issues": retention.remove_old_copies,
    },
    wrapped=(
        WrappedColumn(
            RenderedIssue.wire,
            TEMPLATE_COLUMN,
            _ISSUE + "/" + RenderedIssue.language,
            LARGE_WRAPPED_ROWS,
        ),
    ),
)
