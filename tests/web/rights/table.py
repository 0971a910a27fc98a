"""The table of rights: role, route, object. Code obeys the same marks, and tests try every cell.

It is read from the marks of `belong_mail/web/access.py` at the views and from the addresses of the
pages; written down it is `docs/rights.md`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from textwrap import fill
from urllib.parse import quote

from werkzeug.routing import Rule

from belong_mail.web.access import Access, access_of

# A part of an address that names something, as routes write it.
PART = re.compile(r"<(?:[^<>]*:)?(\w+)>")
# The buttons that end an address: each is a route of its own here.
VERBS = re.compile(r"<any\(([^)]*)\):verb>")


class Role(StrEnum):
    STRANGER = "stranger"
    LINK = "who has the link"
    LEAD = "leader of the group"
    SECOND_LEAD = "approver"
    OTHER_LEAD = "leader of another group"
    OFFICE = "office"


class Answer(StrEnum):
    YES = "yes"
    # To see it, not to press its button: another leader must.
    LOOKS = "looks"
    # A page leads to the sign-in page; a form is kept and not acted on.
    SIGN_IN = "sign in"
    # In the same words as what does not exist.
    NOT_THERE = "404"
    # By a page that says how to begin, in the same words whatever the reason.
    REFUSED = "403"


# Objects that the parts of a page's address name. A new part is entered here, and in the tests’
# objects.
OBJECTS = {
    "slug": "group",
    "number": "group",
    "public_id": "newsletter",
    "picture_id": "its picture",
    "flyer_id": "its flyer",
    "meeting_id": "meeting",
    "day": "its day",
    "question_id": "question",
    "account_id": "account",
    "verb": "button",
    "_button": "button",
    "press": "button",
    "reference": "message to the office",
    "month": "month",
    "filename": "file",
    "asked": "time of a form",
    "token": "link",
    "secret": "link",
}
# Secrets that open a page to anyone who has them: an emailed link, or what stands in no address.
KEYS = {"token", "secret"}
HIDDEN_KEYS = {
    "operating.metrics": "token of the monitoring",
    "district.back": "answer of the district",
}


@dataclass(frozen=True, slots=True)
class Route:
    # With the button, where several have one.
    endpoint: str
    address: str
    method: str
    # The parts of its address, in order.
    parts: tuple[str, ...]
    marks: Access

    def path(self, named: Mapping[str, object]) -> str:
        return PART.sub(lambda part: quote(str(named[part[1]])), self.address)

    @property
    def objects(self) -> list[str]:
        """Name what it is about; raises KeyError for a part that OBJECTS does not have."""
        hidden = [HIDDEN_KEYS[self.endpoint]] if self.endpoint in HIDDEN_KEYS else []
        return [OBJECTS[part] for part in self.parts] + hidden

    @property
    def needs_key(self) -> bool:
        """Tell whether one must have a link; the address of a button leads to a page that asks."""
        has_key = bool(KEYS & {*self.parts}) and "_button" not in self.parts
        return has_key or self.endpoint in HIDDEN_KEYS

    @property
    def without_key(self) -> Answer:
        return Answer.REFUSED if self.endpoint == "district.back" else Answer.NOT_THERE

    def answer(self, role: Role) -> Answer:
        """Say what a role is answered about its own: its group, its link, its account."""
        if Access.PUBLIC in self.marks:
            return Answer.YES if role is Role.LINK or not self.needs_key else self.without_key
        if role in {Role.STRANGER, Role.LINK}:
            return Answer.SIGN_IN
        if Access.OFFICE in self.marks:
            return Answer.YES if role is Role.OFFICE else Answer.NOT_THERE
        if Access.ACCOUNTS in self.marks:
            return Answer.YES
        is_theirs = Access.LEADS in self.marks and role in {Role.LEAD, Role.SECOND_LEAD}
        if not is_theirs:
            return Answer.NOT_THERE
        is_for_second = Access.SECOND_LEAD in self.marks and self.method == "POST"
        return Answer.LOOKS if is_for_second and role is Role.LEAD else Answer.YES


def rights_table(app) -> list[Route]:
    """List every page and button but those of development, by address."""
    found = (route for rule in app.url_map.iter_rules() for route in _routes(app, rule))
    in_order = sorted(found, key=lambda each: (each.address, each.endpoint, each.method))
    return [route for route in in_order if Access.DEVELOPMENT not in route.marks]


def _routes(app, rule: Rule) -> Iterator[Route]:
    marks = access_of(app.view_functions[rule.endpoint])
    found = VERBS.search(rule.rule)
    for verb in found[1].split(", ") if found else [""]:
        address, name = VERBS.sub(verb, rule.rule), f"{rule.endpoint} {verb}".strip()
        for method in {"GET", "POST"} & (rule.methods or set()):
            yield Route(name, address, method, tuple(PART.findall(address)), marks)


INTRODUCTION = """# Rights

Who may open which page and press which button, read from the marks at the views
(`belong_mail/web/access.py`), which the web obeys, by `python -m tests.web.rights`.
`tests/web/rights/test_table.py` tries every role at every page, with one’s own objects, another’s
and nobody’s. The table says what the pages of each section answer; a page that answers otherwise
says so. A page is GET unless it says otherwise; “…” stands for the first page of its list.

- **yes**: allowed, for what is one’s own: a leader’s for the groups they lead, a link’s for what it
  was made for. Another group’s page, or a bent address, is answered as **404**.
- **404**: the same words as for a page that does not exist, and nothing changes.
- **403**: a page that says how to begin, the same whatever the reason.
- **looks**: sees the page, and must leave its button to another leader.
- **proved**: after a sign-in within the last 15 minutes; others are asked to sign in again first.
- **sign in**: a page leads to the sign-in page; a form is kept in the browser and not acted on.
"""


def document(routes: Iterable[Route]) -> str:
    """Write the rights down, in parts by who a page is for, and in these by what it is about."""
    listed, table, parts = list(routes), [], []
    for title, mark, needs_key in (
        ("For anyone", Access.PUBLIC, False),
        ("For anyone with the link", Access.PUBLIC, True),
        ("For anyone signed in", Access.ACCOUNTS, False),
        ("For leaders of the group", Access.LEADS, False),
        ("For the office", Access.OFFICE, False),
    ):
        here = [each for each in listed if mark in each.marks and each.needs_key is needs_key]
        usual = Counter(map(_answers, here)).most_common(1)[0][0]
        table.append(f"| {title} | {usual} |\n")
        parts += [f"\n## {title}\n\n", *_pages(here, usual)]
    head = f"\n| pages | {' | '.join(Role)} |\n{'|---' * (len(Role) + 1)}|\n"
    return "".join([INTRODUCTION, head, *table, *parts])


def _answers(route: Route) -> str:
    return " | ".join(map(route.answer, Role))


def _pages(routes: Iterable[Route], usual: str) -> Iterator[str]:
    """List pages with their methods, those about the same kind of thing together.

    “…” stands for the first page of the list.
    """
    about: dict[str, dict[str, list[str]]] = {}
    for route in routes:
        is_proved = Access.FRESH_PROOF in route.marks and route.method == "POST"
        method = f"{route.method} (proved)" if is_proved else route.method
        odd = "" if _answers(route) == usual else f" ({_answers(route).replace(' | ', ', ')})"
        objects = ", ".join(route.objects) or "no object of its own"
        about.setdefault(objects, {}).setdefault(route.address, []).append(method + odd)
    for objects, pages in about.items():
        first, said = next(iter(pages)), ""
        for page, methods in pages.items():
            begins = page.startswith(f"{first}/") and first != "/"
            shown = f"…{page.removeprefix(first)}" if begins else page
            said += f"{'; ' if said else ''}`{shown}`"
            said += "" if methods == ["GET"] else f" {', '.join(methods)}"
        text = f"- {objects}: {said}"
        yield fill(text, 100, subsequent_indent="  ", break_on_hyphens=False) + "\n"
