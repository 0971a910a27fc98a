"""The members of a large group, and the fate of an email to each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from belong_mail.inbound.hard_bounces import RULES, UNKNOWN, BounceRule

STAFF, SMALL, GONE, OUTSIDE = (
    "dpsk12.org", "schools.example.net", "closed.example.net", "mail.example.com",
)  # fmt: skip
ALIVE, GREYLISTED, FORWARDED = "alive", "greylisted", "forwarded"
# Every so many-th address is dead; of the living, every so many-th is asked to come again first.
DEAD_EACH, GREY_EACH = 5, 50
# So many of the dead are in a small domain, whose bounces are a usual number.
FEW = 10
UNKNOWN_TEXTS: Final = (
    "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table",
    """550 5.1.1 The email account that you tried to reach does not exist. Please try
550 5.1.1 double-checking the recipient's email address. - gsmtp""",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {to} not found by SMTP address lookup",
    "550 5.4.1 Recipient address rejected: Access denied.",
    "550 No such user here",
)
# The next hop's answer for dead addresses; its answer for a domain is in Postfix's settings.
TEXTS: Final = {
    "disabled": "550 5.2.1 The email account that you tried to reach is disabled.",
    "full": "552 5.2.2 The email account that you tried to reach is over quota.",
    "late": "452 4.2.2 The recipient's inbox is out of storage space.",
    "spam": "550 5.7.1 Message rejected as spam",
    "limit": "550 5.4.5 Daily SMTP relay limit exceeded for customer.",
    "large": "552 5.3.4 Message size exceeds fixed limit",
}
# By which rule an email counts that did not arrive; None: it says nothing of the address.
COUNTED: Final[dict[str, BounceRule | None]] = {
    "unknown": UNKNOWN, "disabled": RULES[1], "full": RULES[0], "late": RULES[0],
    "gone": RULES[2], "spam": None, "limit": None, "large": None, FORWARDED: None,
}  # fmt: skip
# Twenty dead addresses: more than half are unknown, as after a summer.
MIX: Final = (*["unknown"] * 11, *TEXTS, FORWARDED, "gone", "gone")


@dataclass(frozen=True)
class Person:
    number: int
    fate: str
    domain: str

    @property
    def address(self) -> str:
        return f"member{self.number}-{self.fate}@{self.domain}"

    @property
    def is_dead(self) -> bool:
        return self.fate in COUNTED

    @property
    def hop(self) -> str:
        """The address as the next hop sees it."""
        is_forwarded = self.fate == FORWARDED
        return self.address.replace(f"@{STAFF}", f"@{OUTSIDE}") if is_forwarded else self.address

    @property
    def answer(self) -> str:
        """The next hop's answer each time; "" where it takes the message, or never sees it."""
        if self.fate in {"unknown", FORWARDED}:
            return UNKNOWN_TEXTS[self.number // DEAD_EACH % len(UNKNOWN_TEXTS)].format(to=self.hop)
        return TEXTS.get(self.fate, "")


def people(number: int) -> Iterator[Person]:
    """Name so many members, a fifth of whom are dead."""
    for each in range(number):
        dead, rest = divmod(each, DEAD_EACH)
        is_small = dead < FEW
        if rest != DEAD_EACH - 1:
            is_grey = each % GREY_EACH == 1
            yield Person(each, GREYLISTED if is_grey else ALIVE, SMALL if is_small else STAFF)
        else:
            fate = MIX[dead % len(MIX)]
            domain = GONE if fate == "gone" else SMALL if is_small else STAFF
            yield Person(each, fate, STAFF if fate == FORWARDED else domain)
