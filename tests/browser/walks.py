"""The walks past all pages and mails: a stranger’s, a member’s, a lead’s."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.browser import insiders, tour
from tests.browser.site import Site


@dataclass(frozen=True)
class Walk:
    """Whose walk, past which pages and mails, and how many they are."""

    who: str
    pages: Callable[[Page, Site, str], Iterator[str]]
    mails: Callable[[Site, str], Iterator[tuple[str, str]]]
    seen: int


WALKS = (
    Walk("strangers", tour.tour, tour.mails, 30),
    Walk("members", insiders.members, insiders.members_mails, 22),
    Walk("leads", insiders.leads, insiders.leads_mails, 29),
)
