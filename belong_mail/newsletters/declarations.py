"""The worker's entries for newsletters, beside the issues that it sends."""

from sqlalchemy import select

from belong_mail.delivery.room import Room
from belong_mail.delivery.work import LARGE_WRAPPED_ROWS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.newsletters import emails, retention, tasks
from belong_mail.newsletters.issue_mailer import TEMPLATE_COLUMN
from belong_mail.newsletters.jobs import AskForApproval, FollowIssue, SendTestCopies
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
        tasks.APPROVE: emails.approval_email,
        tasks.OFFICE_ACTED: emails.office_acted_email,
    },
    copies={"newsletter-copy": emails.office_copy, tasks.TEST_COPY: emails.test_copy},
    tasks={
        FollowIssue.KIND: tasks.follow_change,
        SendTestCopies.KIND: tasks.send_test_copies,
        AskForApproval.KIND: tasks.ask_for_approval,
    },
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
