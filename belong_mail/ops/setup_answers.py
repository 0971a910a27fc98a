"""What `belong setup` asks, and the settings that it makes of the answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from belong_mail import settings
from belong_mail.mail.smtp.transport import InvalidRelay, parse_relay

ETC, DATA, STATE = "/etc/belong-mail", "/var/lib/belong-mail", "/var/lib/belong-worker"
KEYS = f"{ETC}/keys"
DATABASE = f"{DATA}/belong.db"
SQLITE = "sqlite"
# The line of the whole country, for anyone in a crisis.
CRISIS_LINE = "988 Lifeline 988 https://988lifeline.org"
SMTPS_PORT = 465
# What the shell or systemd would read otherwise than it stands there, whatever the quotes.
UNSAFE = re.compile(r"[\"$`\\\x00-\x1f\x7f]")
# What both read as it stands there without quotes.
PLAIN = re.compile(r"[\w.,:/@%+=?-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What was asked; `complaints` checks it as the settings will be."""

    base_url: str
    district: str
    short: str
    timezone: str
    domains: str
    relay_url: str
    office: str
    database: str
    web_database: str = ""
    mail_domain: str
    postal_address: str
    site_name: str
    help_lines: str

    @property
    def is_sqlite(self) -> bool:
        return self.database == SQLITE

    @property
    def web_role(self) -> str:
        """The web's own role in PostgreSQL, if it has one."""
        roles = [urlsplit(url).username for url in (self.database, self.web_database)]
        return (roles[1] or "") if self.web_database and roles[0] != roles[1] else ""

    def complaints(self) -> list[str]:
        """Say all that is wrong with the answers."""
        found = []
        checks = {
            "base-url": (settings.https_address, self.base_url),
            "district": (settings.name, self.district),
            "short": (settings.name, self.short),
            "site-name": (settings.name, self.site_name),
            "timezone": (settings.zone, self.timezone),
            "help-lines": (settings.help_lines, self.help_lines),
            "domains": (settings.domains, self.domains),
            "office": (settings.inbox, self.office),
            "mail-domain": (settings.domain, self.mail_domain),
            "postal-address": (settings.text, self.postal_address),
        }
        if not self.is_sqlite:
            checks["database"] = (settings.database, self.database)
            checks["web-database"] = (settings.database, self.web_database or self.database)
        for name, (read, value) in checks.items():
            try:
                read(value)
            except ValueError as error:
                found.append(f"--{name} {error}.")
            if UNSAFE.search(value):
                found.append(f'--{name} must not have a ", $, ` or \\ in it.')
        try:
            parse_relay(self.relay_url, ehlo="example.org")
            if UNSAFE.search(for_the_web(self.relay_url)):
                found.append('--relay must not have a ", $, ` or \\ in its host.')
        except (InvalidRelay, OSError, ValueError) as error:
            why = error if isinstance(error, InvalidRelay) else "It cannot be read."
            found.append(f"--relay: {why}")
        return found

    def common(self) -> dict[str, str]:
        """Return the settings of both web and worker."""
        return {
            "BELONG_ENV": "production",
            "BELONG_BASE_URL": self.base_url.rstrip("/"),
            "BELONG_SITE_NAME": self.site_name,
            "BELONG_DISTRICT_NAME": self.district,
            "BELONG_DISTRICT_SHORT": self.short,
            "BELONG_TIMEZONE": self.timezone,
            "BELONG_HELP_LINES": self.help_lines,
            **({"BELONG_DATABASE_URL": f"sqlite:///{DATABASE}"} if self.is_sqlite else {}),
            "BELONG_STATE_FOLDER": STATE,
            "BELONG_SECRET_KEYS_FILE": f"{KEYS}/secret",
            "BELONG_PUBLIC_KEYS_FILE": f"{KEYS}/public",
            "BELONG_ALLOWED_DOMAINS": self.domains,
            "BELONG_MAIL_DOMAIN": self.mail_domain,
            "BELONG_POSTAL_ADDRESS": self.postal_address,
            "BELONG_CONTACT_INBOX": self.office,
            "BELONG_PROXIES": "1",
        }

    def of_web(self) -> dict[str, str]:
        own = {} if self.is_sqlite else {"BELONG_DATABASE_URL_FILE": f"{KEYS}/web-database"}
        return {"BELONG_SMTP_URL": for_the_web(self.relay_url), **own}

    def of_worker(self) -> dict[str, str]:
        own = {} if self.is_sqlite else {"BELONG_DATABASE_URL_FILE": f"{KEYS}/database"}
        return {
            "BELONG_PRIVATE_KEYS_FILE": f"{KEYS}/private",
            "BELONG_INDEX_KEYS_FILE": f"{KEYS}/index",
            "BELONG_SMTP_URL_FILE": f"{KEYS}/relay",
            **own,
            **({"BELONG_WEB_DATABASE_ROLE": self.web_role} if self.web_role else {}),
        }


def relay_url(relay: str, password: str) -> str:
    """Make a relay's URL from HOST, HOST:PORT or USER@HOST:PORT; a URL is left as it is."""
    if "://" in relay:
        return relay
    user, _, place = relay.rpartition("@")
    host, _, port = place.partition(":")
    scheme = "smtps" if port == str(SMTPS_PORT) else "smtp"
    is_here = host in {"localhost", "127.0.0.1"} and not user
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{login}{host}{f':{port}' if port else ''}{'?tls=none' if is_here else ''}"


def for_the_web(url: str) -> str:
    """Leave user and password out of a relay's URL: the web sends nothing."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, "", "", ""))


def lines(given: Mapping[str, str]) -> str:
    """Write settings as the shell and systemd both read them."""
    head = "# Written by `belong setup`. Every setting is in docs/configuration.md.\n"
    return head + "".join(f"{name}={_quoted(value)}\n" for name, value in given.items())


def _quoted(value: str) -> str:
    """Put what is not plain into quotes, in which nothing is expanded.

    A quote in a value is in double ones: systemd reads none that stands outside of quotes.
    """
    if PLAIN.fullmatch(value):
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"
