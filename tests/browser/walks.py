"""The walks past all pages and mails: a stranger’s, a member’s, a lead’s."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.browser import leads, members, strangers
from tests.browser.site import Site


@dataclass(frozen=True)
class Walk:
    """A walk: its visitor, its pages, and how many they are with the emails that they cause."""

    who: str
    pages: Callable[[Page, Site, str], Iterator[str]]
    seen: int


WALKS = (
    Walk("strangers", strangers.strangers, 59),
    Walk("members", members.members, 23),
    Walk("leads", leads.leads, 66),
)
