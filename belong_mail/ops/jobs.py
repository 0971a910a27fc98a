"""What the office asks the worker for, as an operator would."""

from belong_mail.core.jobs import JobKind


class RetryEmail(JobKind, kind="retry-email"):
    """Has waiting email tried again."""
