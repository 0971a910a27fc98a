"""How the text of a setting is read: each returns a value, or raises ValueError with what it is.

The error completes a sentence that begins with the setting's name, and never quotes the value.
"""

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from belong_mail.mail import address
from belong_mail.mail.message import MessageRefused, mailbox

ROOT = Path(__file__).resolve().parent.parent
MIN_SECRET = 32
"""Characters."""
MAX_TEXT = 200
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}([.]{_LABEL})*")
_TIME = re.compile(r"([0-9]{1,6})([smh]?)")
_SECONDS = {"": 0, "s": 1, "m": 60, "h": 3600}
_NUMBER = re.compile("[1-9][0-9]{0,8}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def text(value: str) -> str:
    value = value.strip()
    if not value or not value.isprintable() or len(value) > MAX_TEXT:
        raise ValueError(f"is one line of 1 to {MAX_TEXT} characters")
    return value


def relay(value: str) -> str:
    """Strip it; `mail.relay.parse` reads it, with the name that we say in EHLO."""
    return value.strip()


def words(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def some_words(value: str) -> tuple[str, ...]:
    if not words(value):
        raise ValueError("holds nothing")
    return words(value)


def environment(value: str) -> str:
    if value not in {"development", "production"}:
        raise ValueError("is development or production")
    return value


def web_address(value: str) -> str:
    complaint = "is an address like https://belong.example.org"
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(complaint) from None
    has_more = parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in {"http", "https"} or not is_whole or has_more or re.search(r"\s", value):
        raise ValueError(complaint)
    return value.rstrip("/")


def optional_web_address(value: str) -> str:
    return web_address(value) if value else ""


def database(value: str) -> str:
    complaint = "is sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(complaint) from None
    if url.drivername == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("needs a file: web and worker are two processes")
        patience = str(url.query.get("timeout", ""))
        if url.query.keys() - {"timeout"} or not re.fullmatch("([0-9]+([.][0-9]+)?)?", patience):
            raise ValueError("takes nothing behind ? but timeout=SECONDS")
        return f"sqlite:///{ROOT / url.database}" + (f"?timeout={patience}" if patience else "")
    if url.drivername != "postgresql+psycopg" or not url.database:
        raise ValueError(complaint)
    return value


def domain(value: str) -> str:
    value = value.strip().lower()
    if not _DOMAIN.fullmatch(value) or len(value) > MAX_TEXT:
        raise ValueError("is a domain like example.org")
    return value


def domains(value: str) -> tuple[str, ...]:
    try:
        return tuple(domain(part) for part in some_words(value))
    except ValueError:
        raise ValueError("is a list of domains like dpsk12.org, without @") from None


def sender(value: str) -> str:
    try:
        mailbox(text(value), "belong@example.org")
    except MessageRefused:
        raise ValueError("is a name without @") from None
    return text(value)


def inbox(value: str) -> str:
    try:
        return address.check(value)
    except address.AddressRefused:
        raise ValueError("is an email address") from None


def optional_inbox(value: str) -> str:
    return inbox(value) if value else ""


def pattern(value: str) -> re.Pattern[str] | None:
    try:
        return re.compile(value, re.IGNORECASE) if value else None
    except re.error:
        raise ValueError("is a regular expression") from None


def zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is a time zone like America/Denver") from None


def number(value: str) -> int | None:
    if value and not _NUMBER.fullmatch(value):
        raise ValueError("is a whole number from 1 to 999999999, or empty")
    return int(value) if value else None


def count(value: str) -> int:
    if not re.fullmatch("[0-9]", value):
        raise ValueError("is a number from 0 to 9")
    return int(value)


def path(value: str) -> Path:
    return ROOT / value


def waiting_time(value: str) -> timedelta | None:
    """Read ``15m``, ``90s``, ``2h`` or ``0``; ``hold`` is None."""
    if value == "hold":
        return None
    match = _TIME.fullmatch(value)
    if not match or (not match[2] and match[1] != "0"):
        raise ValueError("is a time like 15m, or 0, or hold")
    return int(match[1]) * timedelta(seconds=_SECONDS[match[2]])


def networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part) for part in words(value))
    except ValueError:
        raise ValueError("is a list of networks like 10.0.0.0/8") from None


def secrets_list(value: str) -> tuple[str, ...]:
    if any(len(secret) < MIN_SECRET for secret in some_words(value)):
        raise ValueError("has a key shorter than 32 characters; make one with: flask keys new")
    return words(value)


def token(value: str) -> str:
    if value and (len(value) < MIN_SECRET or not value.isascii() or not value.isprintable()):
        raise ValueError("is 32 characters or more, or empty")
    return value


def yes_or_no(value: str) -> bool:
    if value not in {"yes", "no"}:
        raise ValueError("is yes or no")
    return value == "yes"
