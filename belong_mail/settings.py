"""Parse settings: each function returns a value, or raises ValueError with the fault.

The fault completes a sentence that begins with the setting's name, and never quotes the value.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from belong_mail.core.district import HelpLine, HelpLines
from belong_mail.core.environment import ROOT
from belong_mail.core.tokens import MIN_SECRET_CHARACTERS
from belong_mail.mail import address
from belong_mail.mail.hosts import Network, is_this_machine
from belong_mail.mail.message.headers import InvalidMessage, format_mailbox

MAX_TEXT = 200
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}([.]{_LABEL})*")
MAX_NAME = 60
MAX_HELP_LINES = 5
# No character that has a meaning in HTML, headers or catalogs.
_NAME = re.compile(rf"[^\W_](?:[^\W_]|[ .,’'()-]){{0,{MAX_NAME - 1}}}")
_TIME = re.compile(r"([0-9]{1,6})([smh]?)")
_SECONDS = {"": 0, "s": 1, "m": 60, "h": 3600}
_NUMBER = re.compile("[1-9][0-9]{0,8}")
# Signs that readers of URLs do not read alike.
_ODD_IN_URL = re.compile("#|%(?![0-9A-Fa-f]{2})|@.*@")


def matching(form: str, complaint: str) -> Callable[[str], str]:
    """Return a parser of values that match a regular expression."""

    def read(value: str) -> str:
        if not re.fullmatch(form, value):
            raise ValueError(complaint)
        return value

    return read


def one_of(*known: str) -> Callable[[str], str]:
    """Return a parser of one of these words."""
    return matching("|".join(known), f"must be {' or '.join(known)}")


def optional(read: Callable[[str], str]) -> Callable[[str], str]:
    """Return a parser that also accepts ""."""
    return lambda value: read(value) if value else ""


phone = matching("[+]?[0-9][0-9-]{1,18}", "must be a phone number like 800-555-0100")
ascii_text = optional(matching("[!-~]+", "must be ASCII characters without a space"))
claim = optional(
    matching(
        "[A-Za-z_]{1,40}=[A-Za-z0-9._-]{1,200}",
        "must be NAME=VALUE, such as hd=example.org, or empty",
    )
)
role = optional(
    matching(
        "[a-z_][a-z0-9_]{0,62}",
        "must be the name of a role (lower-case letters, digits and _), or empty",
    )
)
token = optional(
    matching(f"[ -~]{{{MIN_SECRET_CHARACTERS},}}", "must be 32 ASCII characters or more, or empty")
)


def text(value: str) -> str:
    value = value.strip()
    if not value or not value.isprintable() or len(value) > MAX_TEXT:
        raise ValueError(f"must be one line of 1 to {MAX_TEXT} characters")
    return value


def secret(value: str) -> str:
    """Return a secret; it is parsed where related settings are known."""
    return value.strip()


def recipient(value: str) -> str:
    """Check an age public key, to which backups are encrypted."""
    value = value.strip()
    if value:
        from belong_mail.core import encrypted_file  # noqa: PLC0415 - only where copies are made

        try:
            encrypted_file.check_recipient(value)
        except ValueError:
            raise ValueError("must be a key as `keys backup` prints it, or empty") from None
    return value


def words(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def some_words(value: str) -> tuple[str, ...]:
    if not words(value):
        raise ValueError("must not be empty")
    return words(value)


def web_address(value: str) -> str:
    complaint = "must be an address like https://belong.example.org"
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(complaint) from None
    has_more = parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in {"http", "https"} or not is_whole or has_more or re.search(r"\s", value):
        raise ValueError(complaint)
    return value.rstrip("/")


def https_address(value: str) -> str:
    """Parse an https URL for links on our pages."""
    if not web_address(value).startswith("https:"):
        raise ValueError("is an address that starts with https://")
    return web_address(value)


def issuer(value: str) -> str:
    """Parse the issuer of an identity provider, which must match its tokens exactly."""
    complaint = "must be an address like https://login.example.org, exactly as the provider says it"
    try:
        parts = urlsplit(web_address(value))
    except ValueError:
        raise ValueError(complaint) from None
    if parts.scheme != "https" and not is_this_machine(parts.hostname or ""):
        raise ValueError(complaint)
    if parts.path.split("/")[1:2] in (["common"], ["organizations"], ["consumers"]):
        raise ValueError("must name your own tenant: anyone can have an account at this one")
    return value


def name(value: str) -> str:
    """Parse a name of site or district, for sentences, headers and HTML."""
    if not _NAME.fullmatch(value.strip()):
        raise ValueError(
            f"must be a name of at most {MAX_NAME} letters, digits and spaces; also . , ’ ' - ( )"
        )
    return value.strip()


def help_lines(value: str) -> HelpLines:
    """Parse help lines (name, phone number, URL), separated by commas or newlines."""
    parts = [part for part in re.split("[,\n]", value) if part.strip()]
    if not 1 <= len(parts) <= MAX_HELP_LINES:
        raise ValueError(f"must have 1 to {MAX_HELP_LINES} lines")
    *safety, crisis = [_help_line(part) for part in parts]
    return HelpLines(tuple(safety), crisis)


def _help_line(value: str) -> HelpLine:
    try:
        title, number, url = value.rsplit(None, 2)
        return HelpLine(name(title), phone(number), https_address(url))
    except ValueError:
        raise ValueError(
            "must be lines like 988 Lifeline 988 https://988lifeline.org, with commas between them"
        ) from None


def database(value: str) -> str:
    """Check a database URL without its driver, which takes longer to import than all else."""
    complaint = (
        "must be sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME; in a password, write / ? #"
        " @ % as %2F and so on"
    )
    try:
        url = urlsplit(value)
        is_port = url.port != 0
    except ValueError:
        raise ValueError(complaint) from None
    if value.startswith("sqlite:///") and "#" not in value:
        return _sqlite_file(unquote(url.path[1:]), url.query)
    is_postgresql = value.startswith("postgresql+psycopg://") and is_port and url.path[1:]
    if not is_postgresql or _ODD_IN_URL.search(value) or "@" in f"{url.path}{url.query}":
        raise ValueError(complaint)
    return value


def _sqlite_file(name: str, query: str) -> str:
    if not name or name == ":memory:":
        raise ValueError("must name a file: web and worker are two processes")
    waiting = re.fullmatch("(?:timeout=([0-9]+(?:[.][0-9]+)?)?)?", query)
    if waiting is None:
        raise ValueError("may have only timeout=SECONDS after the ?")
    return f"sqlite:///{quote(str(ROOT / name))}" + (f"?timeout={waiting[1]}" if waiting[1] else "")


def domain(value: str) -> str:
    value = value.strip().lower()
    if not _DOMAIN.fullmatch(value) or len(value) > MAX_TEXT:
        raise ValueError("must be a domain like example.org")
    return value


def domains(value: str) -> tuple[str, ...]:
    try:
        return tuple(domain(part) for part in some_words(value))
    except ValueError:
        raise ValueError("must be a list of domains like example.org, without @") from None


def sender(value: str) -> str:
    if not value:
        return ""
    try:
        format_mailbox(text(value), "belong@example.org")
    except InvalidMessage:
        raise ValueError("must be a name without @") from None
    return text(value)


def inbox(value: str) -> str:
    try:
        return address.check(value)
    except address.InvalidAddress:
        raise ValueError("must be an email address") from None


def inboxes(value: str) -> tuple[str, ...]:
    return tuple(inbox(each) for each in words(value))


def pattern(value: str) -> re.Pattern[str] | None:
    try:
        return re.compile(value, re.IGNORECASE) if value else None
    except re.error:
        raise ValueError("must be a regular expression") from None


def zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone like America/New_York") from None


def number(value: str) -> int | None:
    if value and not _NUMBER.fullmatch(value):
        raise ValueError("must be a whole number from 1 to 999999999, or empty")
    return int(value) if value else None


def count(value: str) -> int:
    if not re.fullmatch("[0-9]", value):
        raise ValueError("must be a number from 0 to 9")
    return int(value)


def path(value: str) -> Path:
    return ROOT / value


def waiting_time(value: str) -> timedelta | None:
    """Parse ``15m``, ``90s``, ``2h`` or ``0``; ``hold`` is None."""
    if value == "hold":
        return None
    match = _TIME.fullmatch(value)
    if not match or (not match[2] and match[1] != "0"):
        raise ValueError("must be a time like 15m, or 0, or hold")
    return int(match[1]) * timedelta(seconds=_SECONDS[match[2]])


def networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part) for part in words(value))
    except ValueError:
        raise ValueError("must be a list of networks like 10.0.0.0/8") from None


def secrets_list(value: str) -> tuple[str, ...]:
    if any(len(secret) < MIN_SECRET_CHARACTERS for secret in some_words(value)):
        raise ValueError(
            "has a key shorter than 32 characters; make one with: flask --app wsgi keys new"
        )
    return words(value)


def yes_or_no(value: str) -> bool:
    return one_of("yes", "no")(value) == "yes"
