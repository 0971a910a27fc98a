"""The settings: read once from the environment, frozen, every complaint at once.

`python config.py > .env.example` writes them down for operators.
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from belong_mail import keys, readers
from belong_mail.mail.relay import RelayRefused, parse

ROOT = Path(__file__).resolve().parent
PREFIX = "BELONG_"
TESTS = ("REQUIRE_BROWSER", "KILLS", "SEED", "RECIPIENTS", "RESTARTS")
TEST_NAMES = {PREFIX + name for name in TESTS}
DEVELOPMENT = {
    "BELONG_BASE_URL": "http://localhost:5000",
    "BELONG_SMTP_URL": "mailbox:",
    "BELONG_MAIL_DOMAIN": "example.org",
    "BELONG_POSTAL_ADDRESS": "DPS Belong (sample line), 1860 Lincoln St, Denver, CO 80203",
    "BELONG_CONTACT_INBOX": "dps-belong@example.org",
}
"""What production must give and development has a default for."""
KEYS = {f"{PREFIX}{kind.upper()}_KEYS": kind for kind in keys.KINDS}
PREAMBLE = """\
# Every setting. Each may also be given as NAME_FILE, the name of a file that holds the value.
# What follows a name is its default; where that is for development alone, production must give it.
# Relative paths start at the project's root. Keys: flask --app wsgi keys new
"""


class SettingsRefused(Exception):
    """Says everything that is wrong with the settings, and never a value of one."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(
            "The settings are not right:\n" + "\n".join(f"  - {c}" for c in complaints)
        )


def setting(read: Callable[[str], Any], default: str | None, about: str) -> Any:
    """Describe a setting; None as default: production must give it."""
    return field(metadata={"read": read, "default": default, "about": about})


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Every setting of `.env.example`; `read` makes one from an environment."""

    env: str = setting(readers.environment, "development", "development or production")
    base_url: str = setting(readers.web_address, None, "every mailed link starts with it")
    database_url: str = setting(
        readers.database,
        "sqlite:///var/belong.db",
        "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    )
    smtp_url: str = setting(
        readers.relay, None, "smtp://user:password@host:587, smtps://…, or mailbox:"
    )
    secret_keys: tuple[str, ...] = setting(
        readers.secrets_list, None, "sign tokens; oldest first, separated by commas"
    )
    public_keys: tuple[str, ...] = setting(
        readers.some_words, None, "seal addresses; web and worker"
    )
    private_keys: tuple[str, ...] = setting(readers.words, "", "open addresses; the worker alone")
    index_keys: tuple[str, ...] = setting(readers.words, "", "index addresses; the worker alone")
    mail_domain: str = setting(readers.domain, None, "From, Message-ID, return paths and List-Id")
    mail_from: str = setting(readers.sender, "DPS Belong", "the name mail comes from")
    postal_address: str = setting(readers.text, None, "the footer's postal line")
    contact_inbox: str = setting(readers.inbox, None, "where the contact form goes")
    copy_to_office: bool = setting(
        readers.yes_or_no, "yes", "one copy of each issue goes to the inbox; yes or no"
    )
    allowed_domains: tuple[str, ...] = setting(readers.domains, "dpsk12.org", "who may join")
    refused_local_parts: re.Pattern[str] | None = setting(
        readers.pattern, "", "pattern of addresses that are not staff"
    )
    timezone: ZoneInfo = setting(readers.zone, "America/Denver", "shown times and schedules")
    send_rate: int | None = setting(readers.number, "", "messages a minute that the relay takes")
    daily_quota: int | None = setting(readers.number, "", "recipients a day that the relay takes")
    uncertain: timedelta | None = setting(
        readers.waiting_time,
        "15m",
        "an uncertain newsletter delivery is sent again after; 0, or hold",
    )
    proxies: int = setting(readers.count, "0", "how many proxies stand before us")
    trusted_networks: tuple[readers.Network, ...] = setting(
        readers.networks, "127.0.0.0/8,::1/128", "networks with higher limits"
    )
    state_folder: Path = setting(readers.path, "var", "the workers' locks, and the test mailbox")
    metrics_token: str = setting(readers.token, "", "opens /metrics; without one it is not there")
    alert_address: str = setting(readers.optional_inbox, "", "gets a mail when mail waits")
    video_url: str = setting(
        readers.optional_web_address, "", "the office's video; hidden while empty"
    )

    @property
    def is_development(self) -> bool:
        return self.env == "development"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Config":
        """Make the settings from an environment, or raise SettingsRefused with every complaint.

        An empty value is as good as none.
        """
        complaints: list[str] = []
        given = _given(environ, complaints)
        values: dict[str, Any] = {}
        is_development = given.get("BELONG_ENV", "") in {"", "development"}
        defaults = _development_defaults(given) if is_development else {}
        for each in fields(cls):
            name, default = PREFIX + each.name.upper(), each.metadata["default"]
            raw = given.get(name, "")
            if not raw and (name not in given or default != ""):
                raw = defaults.get(name, default)
            if raw is None:
                complaints.append(f"{name} is missing: {each.metadata['about']}.")
                continue
            try:
                values[each.name] = each.metadata["read"](raw)
            except ValueError as error:
                complaints.append(f"{name} {error}.")
        complaints += _odd_pairs(values)
        if complaints:
            raise SettingsRefused(complaints)
        return cls(**values)


def example() -> str:
    """Write `.env.example`: what each setting is for, and its default."""
    paragraphs = [PREAMBLE]
    for each in fields(Config):
        name = PREFIX + each.name.upper()
        default, about = each.metadata["default"], each.metadata["about"]
        value = DEVELOPMENT.get(name, "") if default is None else default
        needed = "" if default is not None else " (production must give it)"
        quoted = f"'{value}'" if " " in value else value
        paragraphs.append(f"# {about}{needed}\n#{name}={quoted}\n")
    return "\n".join(paragraphs)


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
    if KEYS.keys() <= given.keys():
        return DEVELOPMENT
    kept = keys.kept(ROOT / "var" / "keys")
    return DEVELOPMENT | {name: kept[kind] for name, kind in KEYS.items()}


def _odd_pairs(values: Mapping[str, Any]) -> list[str]:
    """Complain about settings that are right alone and wrong together; some may be missing."""
    complaints = []
    smtp_url, is_production = values.get("smtp_url", ""), values.get("env") == "production"
    if is_production and not values.get("base_url", "https://").startswith("https://"):
        complaints.append("BELONG_BASE_URL starts with https:// in production.")
    if smtp_url.startswith("mailbox:"):
        if is_production:
            complaints.append("BELONG_SMTP_URL cannot be mailbox: in production.")
    elif smtp_url:
        try:
            parse(smtp_url, ehlo=values.get("mail_domain", "example.org"))
        except (RelayRefused, OSError) as error:
            why = error if isinstance(error, RelayRefused) else "Its certificates cannot be read."
            complaints.append(f"BELONG_SMTP_URL cannot be used. {why}")
    return complaints + keys.complaints(
        *(values.get(f"{kind}_keys", ()) for kind in keys.KINDS[1:])
    )


if __name__ == "__main__":
    sys.stdout.write(example())
