"""The office's job for the worker that an operator could do as well."""

from belong_mail.core.jobs import JobKind


class RetryEmail(JobKind, kind="retry-email"):
    """Has waiting email tried again."""
