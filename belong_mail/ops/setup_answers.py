"""The questions of `belong setup`, and the settings that its answers become."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from belong_mail import settings
from belong_mail.mail.hosts import InvalidSetting
from belong_mail.mail.smtp.transport import parse_relay

ETC, DATA, STATE = "/etc/belong-mail", "/var/lib/belong-mail", "/var/lib/belong-worker"
KEYS = f"{ETC}/keys"
DATABASE = f"{DATA}/belong.db"
SQLITE = "sqlite"
# The national help line for anyone in a crisis.
CRISIS_LINE = "988 Lifeline 988 https://988lifeline.org"
SMTPS_PORT = 465
# Characters that a shell or systemd interprets even within quotes.
UNSAFE = re.compile(r"[\"$`\\\x00-\x1f\x7f]")
# Values that need no quotes for a shell and systemd.
PLAIN = re.compile(r"[\w.,:/@%+=?-]*", re.ASCII)


@dataclass(frozen=True)
class Question:
    """A question about a setting, also a flag; its default may depend on earlier answers."""

    name: str
    setting: str
    read: Callable[[str], object]
    words: str
    default: Callable[[Mapping[str, str]], str] | None = None

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"


QUESTIONS = (
    Question("base_url", "BELONG_BASE_URL", settings.https_address,
             "Public address of the site, such as https://belong.example.org"),
    Question("district", "BELONG_DISTRICT_NAME", settings.name,
             "The district's whole name, such as Lakeside Public Schools"),
    Question("short", "BELONG_DISTRICT_SHORT", settings.name,
             "Its short name, as in “your LPS address”"),
    Question("site_name", "BELONG_SITE_NAME", settings.name,
             "What the site is called", lambda given: f"{given['short']} Belong"),
    Question("timezone", "BELONG_TIMEZONE", settings.zone, "Time zone, such as America/Chicago"),
    Question("domains", "BELONG_ALLOWED_DOMAINS", settings.domains,
             "Email domains of your staff, with commas between them"),
    Question("office", "BELONG_CONTACT_INBOX", settings.inbox, "The office's email address"),
    Question("mail_domain", "BELONG_MAIL_DOMAIN", settings.domain,
             "Domain of our emails", lambda given: given["office"].rpartition("@")[2]),
    Question("postal_address", "BELONG_POSTAL_ADDRESS", settings.text,
             "Postal address in the footer of our emails"),
    Question("help_lines", "BELONG_HELP_LINES", settings.help_lines,
             "Help lines, by commas: NAME PHONE https://ADDRESS of each, the crisis line last",
             lambda _given: CRISIS_LINE),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers; `complaints` validates them as settings."""

    # By the question's name.
    given: Mapping[str, str]
    relay_url: str
    database: str
    web_database: str

    @property
    def is_sqlite(self) -> bool:
        return self.database == SQLITE

    def complaints(self) -> Iterator[str]:
        """Yield all faults of the answers."""
        read = [(each.flag, each.read, self.given[each.name]) for each in QUESTIONS]
        if not self.is_sqlite:
            read.append(("--database", settings.database, self.database))
            read.append(("--web-database", settings.database, self.web_database))
        for flag, reader, value in read:
            try:
                reader(value)
            except ValueError as error:
                yield f"{flag} {error}."
            if UNSAFE.search(value):
                yield f'{flag} must not have a ", $, ` or \\ in it.'
        try:
            parse_relay(self.relay_url, ehlo="example.org")
            if UNSAFE.search(for_the_web(self.relay_url)):
                yield '--relay must not have a ", $, ` or \\ in its host.'
        except InvalidSetting as error:
            yield f"--relay: {error}"

    def common(self) -> dict[str, str]:
        """Return the settings that web and worker share."""
        return {
            "BELONG_ENV": "production",
            **{each.setting: self.given[each.name] for each in QUESTIONS},
            **({"BELONG_DATABASE_URL": f"sqlite:///{DATABASE}"} if self.is_sqlite else {}),
            "BELONG_STATE_FOLDER": STATE,
            "BELONG_SECRET_KEYS_FILE": f"{KEYS}/secret",
            "BELONG_PUBLIC_KEYS_FILE": f"{KEYS}/public",
            "BELONG_PROXIES": "1",
        }

    def of_web(self) -> dict[str, str]:
        own = {} if self.is_sqlite else {"BELONG_DATABASE_URL_FILE": f"{KEYS}/web-database"}
        return {"BELONG_SMTP_URL": for_the_web(self.relay_url), **own}

    def of_worker(self) -> dict[str, str]:
        role = urlsplit(self.web_database).username or ""
        has_own_role = role != (urlsplit(self.database).username or "")
        return {
            "BELONG_PRIVATE_KEYS_FILE": f"{KEYS}/private",
            "BELONG_INDEX_KEYS_FILE": f"{KEYS}/index",
            "BELONG_SMTP_URL_FILE": f"{KEYS}/relay",
            **({} if self.is_sqlite else {"BELONG_DATABASE_URL_FILE": f"{KEYS}/database"}),
            **({"BELONG_WEB_DATABASE_ROLE": role} if has_own_role else {}),
        }


def relay_url(relay: str, password: str) -> str:
    """Return a relay's URL from HOST, HOST:PORT or USER@HOST:PORT; a URL stays as it is."""
    if "://" in relay:
        return relay
    user, _, place = relay.rpartition("@")
    host, _, port = place.partition(":")
    scheme = "smtps" if port == str(SMTPS_PORT) else "smtp"
    is_here = host in {"localhost", "127.0.0.1"} and not user
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{login}{host}{f':{port}' if port else ''}{'?tls=none' if is_here else ''}"


def for_the_web(url: str) -> str:
    """Return a relay's URL without user and password, as the web sends nothing."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, "", "", ""))


def lines(given: Mapping[str, str]) -> str:
    """Format settings as a file that a shell and systemd read alike."""
    head = "# Written by `belong setup`. Every setting is in /opt/belong-mail/.env.example.\n"
    return head + "".join(f"{name}={_quoted(value)}\n" for name, value in given.items())


def _quoted(value: str) -> str:
    """Quote a value so that nothing in it is expanded.

    A value with a single quote goes into double quotes, as systemd reads none outside of quotes.
    """
    if PLAIN.fullmatch(value):
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"
