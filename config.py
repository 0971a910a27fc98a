"""Read the settings from the environment, once; report all errors together.

`.env.example` describes each setting and its default, grouped by who reads it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from belong_mail import settings
from belong_mail.core import encryption, logs
from belong_mail.core.district import HelpLines, Names
from belong_mail.core.environment import PREFIX, ROOT, value_of
from belong_mail.mail.address import Staff
from belong_mail.mail.hosts import InvalidSetting, Network, is_this_machine
from belong_mail.mail.imap.location import MailboxLocation, parse_mailbox
from belong_mail.mail.message.headers import format_mailbox
from belong_mail.mail.smtp.connection import Relay
from belong_mail.mail.smtp.transport import parse_relay

# Required in production; development has these defaults.
DEVELOPMENT = {
    "BELONG_BASE_URL": "http://localhost:5000",
    "BELONG_SMTP_URL": "mailbox:",
    "BELONG_MAIL_DOMAIN": "example.org",
    "BELONG_POSTAL_ADDRESS": "DPS Belong (sample line), 1860 Lincoln St, Denver, CO 80203",
    "BELONG_CONTACT_INBOX": "dps-belong@example.org",
}
# A district other than Denver sets all of these if it sets one.
NAMES_OF_DISTRICT = ("BELONG_SITE_NAME", "BELONG_DISTRICT_NAME", "BELONG_DISTRICT_SHORT")
OF_DISTRICT = (
    *NAMES_OF_DISTRICT,
    "BELONG_ALLOWED_DOMAINS",
    "BELONG_TIMEZONE",
    "BELONG_HELP_LINES",
)
KEYS = {f"{PREFIX}{kind.upper()}_KEYS": kind for kind in encryption.KINDS}
DATABASE = f"{PREFIX}DATABASE_URL"
NO_NEW_KEYS = (
    "The database has been in use, and new keys would open nothing in it. Run this with the"
    " settings of its installation, or give the keys that it was made with."
)
# Identity providers where anyone can have an account.
ANYONES = {"accounts.google.com"}


class InvalidSettings(Exception):
    """Lists everything that is wrong with the settings, without their values."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(
            "Please correct these settings:\n" + "\n".join(f"  - {c}" for c in complaints)
        )


def setting(read: Callable[[str], Any], default: str | None) -> Any:
    """Declare a setting; without a default, production must set it."""
    return field(metadata={"read": read, "default": default})


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """All settings of `.env.example`."""

    env: str = setting(settings.one_of("development", "production"), "development")
    base_url: str = setting(settings.web_address, None)
    site_name: str = setting(settings.name, "DPS Belong")
    district_name: str = setting(settings.name, "Denver Public Schools")
    district_short: str = setting(settings.name, "DPS")
    program_name: str = setting(settings.name, "Belong")
    database_url: str = setting(settings.database, "sqlite:///var/belong.db")
    # Parsed by `parse_relay`.
    smtp_url: str = setting(str.strip, None)
    secret_keys: tuple[str, ...] = setting(settings.secrets_list, None)
    public_keys: tuple[str, ...] = setting(settings.some_words, None)
    mail_domain: str = setting(settings.domain, None)
    mail_from: str = setting(settings.sender, "")
    postal_address: str = setting(settings.text, None)
    contact_inbox: str = setting(settings.inbox, None)
    help_lines: HelpLines = setting(
        settings.help_lines,
        "Safe2Tell 877-542-7233 https://safe2tell.org, 988 Lifeline 988 https://988lifeline.org",
    )
    copy_to_office: bool = setting(settings.yes_or_no, "yes")
    allowed_domains: tuple[str, ...] = setting(settings.domains, "dpsk12.org")
    refused_local_parts: re.Pattern[str] | None = setting(settings.pattern, "")
    timezone: ZoneInfo = setting(settings.zone, "America/Denver")
    send_rate: int | None = setting(settings.number, "")
    uncertain: timedelta | None = setting(settings.waiting_time, "15m")
    log_format: str = setting(settings.one_of(*logs.FORMATS), "text")
    oidc_issuer: str = setting(settings.optional(settings.issuer), "")

    # Only the web reads these in production.
    proxies: int = setting(settings.count, "0")
    trusted_networks: tuple[Network, ...] = setting(settings.networks, "127.0.0.0/8,::1/128")
    metrics_token: str = setting(settings.token, "")
    video_url: str = setting(settings.optional(settings.web_address), "")
    oidc_client_id: str = setting(settings.ascii_text, "")
    oidc_client_secret: str = setting(settings.ascii_text, "")
    oidc_required_claim: str = setting(settings.claim, "")

    # Only the worker and the operator's commands read these in production.
    web_database_role: str = setting(settings.role, "")
    smtp_credentials: str = setting(settings.secret, "")
    private_keys: tuple[str, ...] = setting(settings.words, "")
    index_keys: tuple[str, ...] = setting(settings.words, "")
    backup_recipient: str = setting(settings.recipient, "")
    daily_quota: int | None = setting(settings.number, "")
    state_folder: Path = setting(settings.path, "var")
    alert_address: tuple[str, ...] = setting(settings.inboxes, "")
    inbound_url: str = setting(settings.secret, "")
    inbound_credentials: str = setting(settings.secret, "")
    inbound_pipe: bool = setting(settings.yes_or_no, "no")

    @property
    def names(self) -> Names:
        return Names(
            self.site_name,
            self.district_name,
            self.district_short,
            self.program_name,
            self.timezone,
        )

    @property
    def sender(self) -> str:
        """Return the From header: name and address."""
        return format_mailbox(self.mail_from, f"belong@{self.mail_domain}")

    @property
    def staff(self) -> Staff:
        return Staff(self.allowed_domains, self.refused_local_parts)

    @property
    def inbound_mailbox(self) -> MailboxLocation | None:
        url = self.inbound_url
        return parse_mailbox(url, ROOT, self.inbound_credentials) if url else None

    @property
    def has_inbound(self) -> bool:
        """Return whether email to our own return paths comes back to the worker."""
        return self.inbound_pipe or bool(self.inbound_url)

    @property
    def relay(self) -> Relay:
        """Return the mail relay. Raises InvalidSetting, also for `mailbox:`, which has none."""
        return parse_relay(self.smtp_url, ehlo=self.mail_domain, credentials=self.smtp_credentials)

    @property
    def is_development(self) -> bool:
        return self.env == "development"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Config":
        """Read an environment, where an empty value counts as none. Raises InvalidSettings."""
        given, unreadable = _given(environ)
        complaints = [
            f"{name} is not a setting; .env.example lists them all."
            for name in environ
            if name.startswith(PREFIX) and name.removesuffix("_FILE") not in SETTINGS
        ]
        complaints += [f"{name}_FILE names a file that cannot be read." for name in unreadable]
        values: dict[str, Any] = {}
        is_development = given.get("BELONG_ENV", "") in {"", "development"}
        defaults = _development_defaults(given, complaints) if is_development else {}
        for name, each in SETTINGS.items():
            raw = given.get(name) or defaults.get(name, each.metadata["default"])
            if raw is None:
                if name not in unreadable:
                    complaints.append(f"{name} is missing; .env.example says what it is for.")
                continue
            try:
                values[each.name] = each.metadata["read"](raw)
            except ValueError as error:
                complaints.append(f"{name} {error}.")
        values["mail_from"] = values.get("mail_from") or values.get("site_name")
        complaints += (*_half_named(given), *_odd_pairs(values))
        if complaints:
            raise InvalidSettings(complaints)
        return cls(**values)


SETTINGS = {PREFIX + each.name.upper(): each for each in fields(Config)}


def _given(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the BELONG_… values, also those in files, and the names whose file is unreadable."""
    given, unreadable = dict[str, str](), list[str]()
    for name in SETTINGS:
        try:
            value = value_of(name, environ)
        except (OSError, UnicodeDecodeError):
            unreadable.append(name)
        else:
            given |= {} if value is None else {name: value}
    return given, unreadable


def _development_defaults(given: Mapping[str, str], complaints: list[str]) -> dict[str, str]:
    """Return development's defaults; create missing keys in var/keys."""
    missing = {name: kind for name, kind in KEYS.items() if name not in given}
    if not missing:
        return DEVELOPMENT
    folder = ROOT / "var" / "keys"
    if not encryption.are_kept(folder) and _is_in_use(given):
        complaints.append(NO_NEW_KEYS)
        return DEVELOPMENT
    kept = encryption.load_or_create_keys(folder, missing.values())
    return DEVELOPMENT | {name: kept[kind] for name, kind in missing.items()}


def _is_in_use(given: Mapping[str, str]) -> bool:
    """Return whether the database exists already, made with other keys."""
    from belong_mail.core.db import has_tables  # noqa: PLC0415 - dear, and needed once

    default = SETTINGS[DATABASE].metadata["default"]
    try:
        return has_tables(settings.database(given.get(DATABASE) or default))
    except ValueError:
        return False


def _odd_pairs(values: Mapping[str, Any]) -> list[str]:
    """Complain about valid settings that do not fit together; some may be missing."""
    complaints = []
    smtp_url, is_production = values.get("smtp_url", ""), values.get("env") == "production"
    is_sqlite = values.get("database_url", "").startswith("sqlite")
    if is_sqlite and values.get("web_database_role"):
        complaints.append("BELONG_WEB_DATABASE_ROLE is for PostgreSQL: SQLite has no roles.")
    complaints += _odd_mailbox(values)
    complaints += _odd_provider(values, is_production=is_production)
    base_url = values.get("base_url", "https://localhost")
    if is_production and not base_url.startswith("https://"):
        complaints.append("BELONG_BASE_URL must start with https:// in production.")
    if not is_production and not is_this_machine(urlsplit(base_url).hostname or ""):
        complaints.append(
            "BELONG_BASE_URL must be this machine's own address in development. To serve other"
            " people, set BELONG_ENV=production."
        )
    if smtp_url.startswith("mailbox:"):
        if is_production:
            complaints.append("BELONG_SMTP_URL must not be mailbox: in production.")
    elif smtp_url:
        try:
            parse_relay(
                smtp_url,
                ehlo=values.get("mail_domain", "example.org"),
                credentials=values.get("smtp_credentials", ""),
            )
        except InvalidSetting as error:
            complaints.append(f"BELONG_SMTP_URL cannot be used. {error}")
    if values.get("smtp_credentials") and "auth=xoauth2" not in smtp_url:
        complaints.append("BELONG_SMTP_CREDENTIALS is for auth=xoauth2 in BELONG_SMTP_URL.")
    return complaints + encryption.validate_keys(
        *(values.get(f"{kind}_keys", ()) for kind in encryption.KINDS[1:])
    )


def _half_named(given: Mapping[str, str]) -> Iterator[str]:
    """Complain if a district sets only some of its names: the others would be Denver's."""
    own = {
        name
        for name in OF_DISTRICT
        if given.get(name) and given[name] != SETTINGS[name].metadata["default"]
    }
    if own.intersection(NAMES_OF_DISTRICT):
        for name in OF_DISTRICT:
            if not given.get(name):
                yield f"{name} is missing: a district with names of its own says all of them."


def _odd_mailbox(values: Mapping[str, Any]) -> Iterator[str]:
    """Complain about a mailbox that cannot be used, or credentials that open none."""
    url, credentials = values.get("inbound_url", ""), values.get("inbound_credentials", "")
    if url:
        try:
            parse_mailbox(url, ROOT, credentials)
        except InvalidSetting as error:
            yield f"BELONG_INBOUND_URL cannot be used. {error}"
    if credentials and "auth=xoauth2" not in url:
        yield "BELONG_INBOUND_CREDENTIALS is for auth=xoauth2 in BELONG_INBOUND_URL."


def _odd_provider(values: Mapping[str, Any], *, is_production: bool) -> Iterator[str]:
    """Complain about an identity provider that is half set, or open to everybody."""
    issuer = values.get("oidc_issuer", "")
    both = bool(values.get("oidc_client_id")), bool(values.get("oidc_client_secret"))
    if both[0] != both[1] or (any(both) and "oidc_issuer" in values and not issuer):
        yield (
            "BELONG_OIDC_ISSUER, BELONG_OIDC_CLIENT_ID and BELONG_OIDC_CLIENT_SECRET go together"
            " (the worker needs the first alone)."
        )
    if is_production and issuer.startswith("http:"):
        yield "BELONG_OIDC_ISSUER must start with https:// in production."
    if urlsplit(issuer).hostname in ANYONES and all(both):
        claim = values.get("oidc_required_claim", "")
        if not claim.startswith("hd="):
            yield (
                "BELONG_OIDC_REQUIRED_CLAIM must be hd=YOUR-DOMAIN with Google: anyone can have an"
                " account there."
            )
