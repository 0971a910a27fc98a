"""Render pages about a group."""

from typing import Any

from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page


def group_page(template: str, group: Group, status: int = 0, /, **context: Any) -> Page:
    """Render a page about a group, which its template knows as `group`."""
    return page(template, status, group=group_view(group, request_language()), **context)
