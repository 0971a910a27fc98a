"""The settings: read once from the environment, frozen, every complaint at once."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from belong_mail import keys

ROOT = Path(__file__).resolve().parent
PREFIX = "BELONG_"
MIN_SECRET = 32
"""Characters."""
TEST_NAMES = {"BELONG_REQUIRE_BROWSER"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsRefused(Exception):
    """Says everything that is wrong with the settings, and never a value of one."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(
            "The settings are not right:\n" + "\n".join(f"  - {c}" for c in complaints)
        )


def text(value: str) -> str:
    return value.strip()


def words(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def lower_words(value: str) -> tuple[str, ...]:
    return words(value.lower())


def environment(value: str) -> str:
    if value not in {"development", "production"}:
        raise ValueError("is development or production")
    return value


def web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("is an address like https://belong.example.org")
    return value.rstrip("/")


def optional_web_address(value: str) -> str:
    return web_address(value) if value else ""


def database(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise ValueError("is sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME") from error
    if url.drivername == "sqlite":
        file = url.database
        if not file or file == ":memory:":
            raise ValueError("needs a file: web and worker are two processes")
        return f"sqlite:///{ROOT / file}"
    if url.drivername != "postgresql+psycopg" or not url.database:
        raise ValueError("is sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    return value


def pattern(value: str) -> re.Pattern[str] | None:
    try:
        return re.compile(value, re.IGNORECASE) if value else None
    except re.error as error:
        raise ValueError("is a regular expression") from error


def zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("is a time zone like America/Denver") from error


def number(value: str) -> int | None:
    if value and (not value.isascii() or not value.isdigit() or int(value) == 0):
        raise ValueError("is a whole number above 0, or empty")
    return int(value) if value else None


def yes_or_no(value: str) -> bool:
    if value not in {"yes", "no"}:
        raise ValueError("is yes or no")
    return value == "yes"


def path(value: str) -> Path:
    return ROOT / value


def count(value: str) -> int:
    return number(value) or 0 if value != "0" else 0


def waiting_time(value: str) -> timedelta | None:
    """Read ``15m``, ``90s``, ``2h`` or ``0``; ``hold`` is None."""
    if value == "hold":
        return None
    match = re.fullmatch(r"(\d{1,6})([smh]?)", value)
    if not match or (not match[2] and match[1] != "0"):
        raise ValueError("is a time like 15m, or 0, or hold")
    return int(match[1]) * timedelta(seconds={"": 0, "s": 1, "m": 60, "h": 3600}[match[2]])


def networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part) for part in words(value))
    except ValueError as error:
        raise ValueError("is a list of networks like 10.0.0.0/8") from error


def secrets_list(value: str) -> tuple[str, ...]:
    if any(len(secret) < MIN_SECRET for secret in words(value)):
        raise ValueError("has a key shorter than 32 characters; make one with: flask keys new")
    return words(value)


def setting(read: Callable[[str], Any], default: str | None, about: str) -> Any:
    """Describe a setting; None as default: production must give it."""
    return field(metadata={"read": read, "default": default, "about": about})


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Every setting of `.env.example`; `read` makes one from an environment."""

    env: str = setting(environment, "development", "development or production")
    base_url: str = setting(web_address, None, "every mailed link starts with it")
    database_url: str = setting(database, "sqlite:///var/belong.db", "or postgresql+psycopg://…")
    smtp_url: str = setting(text, None, "smtp://user:password@host:587, smtps://…, or mailbox:")
    secret_keys: tuple[str, ...] = setting(secrets_list, None, "sign tokens; oldest first")
    public_keys: tuple[str, ...] = setting(words, None, "seal addresses; web and worker")
    private_keys: tuple[str, ...] = setting(words, "", "open addresses; the worker alone")
    index_keys: tuple[str, ...] = setting(words, "", "index addresses; the worker alone")
    mail_domain: str = setting(text, None, "From, Message-ID, return paths and List-Id")
    mail_from: str = setting(text, "DPS Belong", "the name mail comes from")
    postal_address: str = setting(text, None, "the footer's postal line")
    contact_inbox: str = setting(text, None, "where the contact form goes")
    copy_to_office: bool = setting(yes_or_no, "yes", "one copy of each issue goes to the inbox")
    allowed_domains: tuple[str, ...] = setting(lower_words, "dpsk12.org", "who may join")
    refused_local_parts: re.Pattern[str] | None = setting(
        pattern, "", "pattern of addresses that are not staff"
    )
    timezone: ZoneInfo = setting(zone, "America/Denver", "shown times and schedules")
    send_rate: int | None = setting(number, "", "messages a minute that the relay takes")
    daily_quota: int | None = setting(number, "", "recipients a day that the relay takes")
    uncertain: timedelta | None = setting(
        waiting_time, "15m", "an uncertain newsletter delivery is sent again after; 0, or hold"
    )
    proxies: int = setting(count, "0", "how many proxies stand before us")
    trusted_networks: tuple[Network, ...] = setting(
        networks, "127.0.0.0/8,::1/128", "networks with higher limits"
    )
    state_folder: Path = setting(path, "var", "the workers' locks, and the test mailbox")
    video_url: str = setting(optional_web_address, "", "the office's video; hidden while empty")

    @property
    def is_development(self) -> bool:
        return self.env == "development"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Config":
        """Make the settings from an environment, or raise SettingsRefused with every complaint."""
        complaints: list[str] = []
        given = _given(environ, complaints)
        values: dict[str, Any] = {}
        is_development = given.get("BELONG_ENV", "development") == "development"
        defaults = _development_defaults(given) if is_development else {}
        for each in fields(cls):
            name = PREFIX + each.name.upper()
            default = defaults.get(name, each.metadata["default"])
            raw = given.get(name, default)
            if raw is None or (raw == "" and each.metadata["default"] is None):
                complaints.append(f"{name} is missing: {each.metadata['about']}.")
                continue
            try:
                values[each.name] = each.metadata["read"](raw)
            except ValueError as error:
                complaints.append(f"{name} {error}.")
        if not complaints:
            complaints = _odd_pairs(values)
        if complaints:
            raise SettingsRefused(complaints)
        return cls(**values)


def _given(environ: Mapping[str, str], complaints: list[str]) -> dict[str, str]:
    """Collect the BELONG_… values, those in files read; unknown names are complaints."""
    known = {PREFIX + each.name.upper() for each in fields(Config)}
    given: dict[str, str] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in TEST_NAMES:
            continue
        plain = name.removesuffix("_FILE")
        if plain not in known:
            complaints.append(f"{name} is not a setting; .env.example lists them all.")
        elif name == plain:
            given[name] = value
        elif plain not in environ:
            try:
                given[plain] = (ROOT / value).read_text().strip()
            except (OSError, UnicodeDecodeError):
                complaints.append(f"{name} names a file that cannot be read.")
    return given


def _development_defaults(given: Mapping[str, str]) -> dict[str, str]:
    """Return what development needs no setting for; keys are made in var/keys when missing."""
    defaults = {
        "BELONG_BASE_URL": "http://localhost:5000",
        "BELONG_SMTP_URL": "mailbox:",
        "BELONG_MAIL_DOMAIN": "example.org",
        "BELONG_POSTAL_ADDRESS": "DPS Belong (sample line), 1860 Lincoln St, Denver, CO 80203",
        "BELONG_CONTACT_INBOX": "dps-belong@example.org",
    }
    names = {f"{PREFIX}{kind.upper()}_KEYS": kind for kind in keys.KINDS}
    if not names.keys() <= given.keys():
        kept = keys.kept(ROOT / "var" / "keys")
        defaults |= {name: kept[kind] for name, kind in names.items()}
    return defaults


def _odd_pairs(values: Mapping[str, Any]) -> list[str]:
    """Complain about settings that are right alone and wrong together."""
    complaints = []
    if values["env"] == "production":
        if not values["base_url"].startswith("https://"):
            complaints.append("BELONG_BASE_URL starts with https:// in production.")
        if values["smtp_url"].startswith("mailbox:"):
            complaints.append("BELONG_SMTP_URL cannot be mailbox: in production.")
    complaints += keys.complaints(values["public_keys"], values["private_keys"])
    if len(values["index_keys"]) > 1:
        complaints.append("BELONG_INDEX_KEYS holds one key.")
    return complaints
