"""The settings: read once from the environment, frozen, every error at once.

`python3 dev.py docs` writes them down for operators: `.env.example`.
"""

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from belong_mail import settings
from belong_mail.core import encryption, logs
from belong_mail.core.district import HelpLines, Names
from belong_mail.core.environment import PREFIX, ROOT, value_of
from belong_mail.mail.hosts import Network, is_this_machine
from belong_mail.mail.imap.location import InvalidMailbox, MailboxLocation, parse_mailbox
from belong_mail.mail.smtp.connection import Relay
from belong_mail.mail.smtp.transport import InvalidRelay, parse_relay

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
PREAMBLE = """\
# Every setting, written by `python3 dev.py docs` from config.py: change it there. Each may also be
# given as NAME_FILE, the name of a file that holds the value; an empty value counts as none.
# The value after a name is its default; if required in production, for development only.
# Relative paths start at the project's root. `belong keys new` prints a key of each kind.
# The office may change the video, the help lines and the postal line on its page.
"""


class InvalidSettings(Exception):
    """Says everything that is wrong with the settings, and never a value of one."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(
            "Please correct these settings:\n" + "\n".join(f"  - {c}" for c in complaints)
        )


class UsedBy(Enum):
    """The readers of a setting in production, as headings of `.env.example`."""

    BOTH = "Web and worker"
    WEB = "Only the web"
    WORKER = "Only the worker and the operator's commands"


def setting(
    read: Callable[[str], Any],
    default: str | None,
    about: str,
    used_by: UsedBy = UsedBy.BOTH,
) -> Any:
    """Describe a setting; None as default: production must give it."""
    return field(metadata={"read": read, "default": default, "about": about, "used_by": used_by})


web_setting = partial(setting, used_by=UsedBy.WEB)
worker_setting = partial(setting, used_by=UsedBy.WORKER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Every setting of `.env.example`; `read` makes one from an environment."""

    env: str = setting(
        settings.one_of("development", "production"),
        "development",
        "development: for this machine only; production: no default keys, no /dev, https only",
    )
    base_url: str = setting(settings.web_address, None, "the start of every emailed link")
    site_name: str = setting(
        settings.name, "DPS Belong", "what the site is called, such as “Lakeside Together”"
    )
    district_name: str = setting(
        settings.name,
        "Denver Public Schools",
        "the district's whole name, such as “Lakeside Public Schools”",
    )
    district_short: str = setting(
        settings.name, "DPS", "what sentences call the district, as in “your LPS address”"
    )
    program_name: str = setting(
        settings.name, "Belong", "the groups' own word: “Together” makes “the Together office”"
    )
    database_url: str = setting(
        settings.database,
        "sqlite:///var/belong.db",
        "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME; also the default in production",
    )
    web_database_role: str = worker_setting(
        settings.role,
        "",
        "the web's role in PostgreSQL; `db upgrade` gives it exactly the rights it needs",
    )
    smtp_url: str = setting(
        str.strip,  # `parse_relay` reads it, with the name that we say in EHLO
        None,
        "the mail relay: smtp://user:password@host:587, smtps://… or lmtp://…; mailbox: keeps email"
        " in var/ and shows it at /dev/mailbox",
    )
    smtp_credentials: str = worker_setting(
        settings.secret,
        "",
        "with auth=xoauth2 in BELONG_SMTP_URL: the JSON key of an authorized user (a refresh"
        " token) or of an app, or a token; docs/operators/relays.md says how to get one",
    )
    secret_keys: tuple[str, ...] = setting(
        settings.secrets_list,
        None,
        "keys that sign links and forms; oldest first, separated by commas",
    )
    public_keys: tuple[str, ...] = setting(
        settings.some_words,
        None,
        "keys that seal what people type; oldest first, separated by commas",
    )
    private_keys: tuple[str, ...] = worker_setting(
        settings.words, "", "keys that open what was sealed; never give them to the web"
    )
    index_keys: tuple[str, ...] = worker_setting(
        settings.words, "", "the one key that indexes addresses; never give it to the web"
    )
    backup_recipient: str = worker_setting(
        settings.recipient,
        "",
        "the age public key that `db backup` encrypts to; `keys backup` makes it, and the private"
        " key that opens the copies and stays off this machine; empty: copies are not encrypted",
    )
    mail_domain: str = setting(
        settings.domain, None, "the domain of From, Message-ID, return paths and List-Id"
    )
    mail_from: str = setting(
        settings.sender, "", "the sender's name on our email; empty: BELONG_SITE_NAME"
    )
    postal_address: str = setting(
        settings.text, None, "the postal address in the footer of our email"
    )
    contact_inbox: str = setting(
        settings.inbox,
        None,
        "the office's inbox: receives messages to the office, and replies to newsletters of groups"
        " without a shared inbox",
    )
    help_lines: HelpLines = setting(
        settings.help_lines,
        "Safe2Tell 877-542-7233 https://safe2tell.org, 988 Lifeline 988 https://988lifeline.org",
        "lines to call, on the contact page and in its email: name, phone number and web address of"
        " each, with commas between them; the last is for anyone in a crisis, those before it for a"
        " student's safety",
    )
    copy_to_office: bool = setting(
        settings.yes_or_no,
        "yes",
        "whether to send a copy of each newsletter to the office's inbox; yes or no",
    )
    allowed_domains: tuple[str, ...] = setting(
        settings.domains, "dpsk12.org", "the email domains of people who may join"
    )
    refused_local_parts: re.Pattern[str] | None = setting(
        settings.pattern, "", "a pattern for addresses that are not staff, such as students'"
    )
    timezone: ZoneInfo = setting(
        settings.zone,
        "America/Denver",
        "the time zone of displayed times, called after its city (“Chicago time”), and of `--at`",
    )
    send_rate: int | None = setting(
        settings.number, "", "messages a minute that the relay accepts; empty: no limit"
    )
    daily_quota: int | None = worker_setting(
        settings.number, "", "recipients a day that the relay accepts; empty: no limit"
    )
    uncertain: timedelta | None = setting(
        settings.waiting_time,
        "15m",
        "how long to wait before resending a newsletter whose delivery is unknown; 0: at once,"
        " hold: never",
    )
    proxies: int = web_setting(
        settings.count, "0", "how many reverse proxies are in front of the web"
    )
    trusted_networks: tuple[Network, ...] = web_setting(
        settings.networks, "127.0.0.0/8,::1/128", "networks that may send ten times as many forms"
    )
    state_folder: Path = worker_setting(
        settings.path,
        "var",
        "where the worker keeps its locks, its journal and the last known state of the database; in"
        " development also the mailbox",
    )
    log_format: str = setting(
        settings.one_of(*logs.FORMATS),
        "text",
        "how web and worker log: text; json: one object a line",
    )
    metrics_token: str = web_setting(
        settings.token, "", "the token that opens /metrics; empty: no such page"
    )
    alert_address: tuple[str, ...] = worker_setting(
        settings.inboxes,
        "",
        "receives alerts (at most one of each kind per 6 hours), for example when email is delayed"
        " over 15 minutes; may list two addresses, with a comma; empty: no one",
    )
    inbound_url: str = worker_setting(
        settings.secret,
        "",
        "the mailbox that email comes back to, which the worker reads each minute:"
        " imaps://user:password@host/folder; empty: a mail server hands it over",
    )
    inbound_credentials: str = worker_setting(
        settings.secret,
        "",
        "with auth=xoauth2 in BELONG_INBOUND_URL: the JSON key of an authorized user (a refresh"
        " token) or of an app, or a token; docs/operators/bounces.md says how to get one",
    )
    inbound_pipe: bool = worker_setting(
        settings.yes_or_no,
        "no",
        "whether a mail server hands over what comes to b+… at the mail domain; yes or no. With"
        " yes, or with BELONG_INBOUND_URL, newsletters can also be left by email",
    )
    video_url: str = web_setting(
        settings.optional(settings.web_address), "", "the link to the office's video; empty: hidden"
    )

    oidc_issuer: str = setting(
        settings.optional(settings.issuer),
        "",
        "the district's identity provider (OpenID Connect), exactly as it names itself; empty:"
        " people sign in by emailed links alone",
    )
    oidc_client_id: str = web_setting(
        settings.ascii_text,
        "",
        "how the provider calls us; docs/operators/sign-in.md says how to register",
    )
    oidc_client_secret: str = web_setting(
        settings.ascii_text, "", "the secret that the provider gave us"
    )
    oidc_required_claim: str = web_setting(
        settings.claim,
        "",
        "NAME=VALUE that each proof must have, such as hd=example.org with Google",
    )

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
    def inbound_mailbox(self) -> MailboxLocation | None:
        """Return where email that comes back is read; None: nowhere."""
        url = self.inbound_url
        return parse_mailbox(url, ROOT, self.inbound_credentials) if url else None

    @property
    def relay(self) -> Relay:
        """Return the mail relay; `mailbox:` is none. Raises InvalidRelay."""
        return parse_relay(self.smtp_url, ehlo=self.mail_domain, credentials=self.smtp_credentials)

    @property
    def is_development(self) -> bool:
        return self.env == "development"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Config":
        """Make the settings from an environment, or raise InvalidSettings with every error.

        An empty value is as good as none.
        """
        complaints: list[str] = []
        given = _given(environ, complaints)
        values: dict[str, Any] = {}
        is_development = given.get("BELONG_ENV", "") in {"", "development"}
        defaults = _development_defaults(given, complaints) if is_development else {}
        for name, each in SETTINGS.items():
            default, raw = each.metadata["default"], given.get(name, "")
            # The web has no key that opens: its empty value is one.
            is_kept_out = name in KEYS and name in given and default == ""
            if not raw and not is_kept_out:
                raw = defaults.get(name, default)
            if raw is None:
                complaints.append(f"{name} is missing: {each.metadata['about']}.")
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


def example() -> str:
    """Write `.env.example`: what each setting is for, and its default, by those who read it."""
    parts = [PREAMBLE]
    for used_by in UsedBy:
        parts.append(f"# ---- {used_by.value} ----\n")
        theirs = (each for each in SETTINGS.items() if each[1].metadata["used_by"] is used_by)
        parts += [_paragraph(name, each) for name, each in theirs]
    return "\n".join(parts)


def _paragraph(name: str, each: Field[Any]) -> str:
    default = each.metadata["default"]
    value = DEVELOPMENT.get(name, "") if default is None else default
    needed = " (required in production)" if default is None else ""
    quoted = f"'{value}'" if " " in value else value
    about = textwrap.fill(f"{each.metadata['about']}{needed}", 98, break_on_hyphens=False)
    return f"{textwrap.indent(about, '# ')}\n#{name}={quoted}\n"


def _given(environ: Mapping[str, str], complaints: list[str]) -> dict[str, str]:
    """Collect the BELONG_… values, those in files read; unknown names are complaints."""
    complaints += [
        f"{name} is not a setting; .env.example lists them all."
        for name in environ
        if name.startswith(PREFIX) and name.removesuffix("_FILE") not in SETTINGS
    ]
    given: dict[str, str] = {}
    for name in SETTINGS:
        try:
            value = value_of(name, environ)
        except (OSError, UnicodeDecodeError):
            complaints.append(f"{name}_FILE names a file that cannot be read.")
        else:
            given |= {} if value is None else {name: value}
    return given


def _development_defaults(given: Mapping[str, str], complaints: list[str]) -> dict[str, str]:
    """Return what development needs no setting for; keys are made in var/keys when missing."""
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
    """Tell whether the database has been made already, with other keys."""
    from belong_mail.core.db import has_tables  # noqa: PLC0415 - dear, and needed once

    default = SETTINGS[DATABASE].metadata["default"]
    try:
        return has_tables(settings.database(given.get(DATABASE) or default))
    except ValueError:
        return False


def _odd_pairs(values: Mapping[str, Any]) -> list[str]:
    """Complain about settings that are right alone and wrong together; some may be missing."""
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
        except (InvalidRelay, OSError) as error:
            why = error if isinstance(error, InvalidRelay) else "Its certificates cannot be read."
            complaints.append(f"BELONG_SMTP_URL cannot be used. {why}")
    if values.get("smtp_credentials") and "auth=xoauth2" not in smtp_url:
        complaints.append("BELONG_SMTP_CREDENTIALS is for auth=xoauth2 in BELONG_SMTP_URL.")
    return complaints + encryption.validate_keys(
        *(values.get(f"{kind}_keys", ()) for kind in encryption.KINDS[1:])
    )


def _half_named(given: Mapping[str, str]) -> Iterator[str]:
    """Complain where a district says some of its names, and would have Denver's for the others."""
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
        except InvalidMailbox as error:
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


if __name__ == "__main__":
    (ROOT / ".env.example").write_text(example())
