"""What an installation consists of, from some answers: its settings, keys, folders and units."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from belong_mail.core.db import make_engine
from belong_mail.core.environment import RESOURCES
from belong_mail.mail.smtp.transport import InvalidRelay, parse_relay
from belong_mail.ops import settings
from belong_mail.ops.setup_machine import File, Folder, Group, Machine, Thing, User

ETC, DATA, STATE, UNITS = (
    "/etc/belong-mail", "/var/lib/belong-mail", "/var/lib/belong-worker", "/etc/systemd/system",
)  # fmt: skip
KEYS = f"{ETC}/keys"
DATABASE = f"{DATA}/belong.db"
# Where the units and `belong` expect the program.
PROGRAM = "/opt/belong-mail/.venv/bin/belong"
SQLITE = "sqlite"
WORKER, WEB, SHARED = "belong-worker", "belong-web", "belong"
SETTINGS = ("common.env", "web.env", "worker.env")
# What no machine has before its first keys.
USED = (*(f"{ETC}/{name}" for name in SETTINGS), DATABASE)
# Units that a machine starts by itself; systemd runs the others when these ask.
STARTED = re.compile(r"belong-(web|worker)[.]service|.+[.]timer")
PRIVATE_TO_THE_WORKER = ("private", "index")
# What the shell or systemd would read otherwise than it stands there, whatever the quotes.
UNSAFE = re.compile(r"[\"$`\\\x00-\x1f\x7f]")
# What both read as it stands there without quotes.
PLAIN = re.compile(r"[\w.,:/@%+=?-]*", re.ASCII)
# What a district without a line for students' safety answers.
NO_LINE = "none"
SMTPS_PORT = 465


class InvalidAnswer(Exception):
    """Says what is wrong with an answer, without quoting a password."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What is asked; `read` checks it as the settings will be."""

    base_url: str
    district: str
    short: str
    timezone: str
    domains: str
    relay_url: str
    office: str
    database: str
    web_database: str = ""
    mail_domain: str = ""
    postal_address: str
    site_name: str = ""
    safety_line: str = NO_LINE

    @property
    def is_sqlite(self) -> bool:
        return self.database == SQLITE

    @property
    def web_role(self) -> str:
        """The web's own role in PostgreSQL, if it has one."""
        roles = [urlsplit(url).username for url in (self.database, self.web_database)]
        return (roles[1] or "") if self.web_database and roles[0] != roles[1] else ""

    @property
    def site(self) -> str:
        """What the site is called: the district's short name and ours, if nothing else."""
        return self.site_name or f"{self.short} Belong"

    def complaints(self) -> list[str]:
        """Say all that is wrong with the answers."""
        found = []
        checks = {
            "base-url": (settings.https_address, self.base_url),
            "district": (settings.name, self.district),
            "short": (settings.name, self.short),
            "site-name": (settings.name, self.site),
            "timezone": (settings.zone, self.timezone),
            "safety-line": (read_line, self.safety_line),
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


def read_line(given: str) -> tuple[str, str, str]:
    """Take the line for students' safety apart: name, phone number, web address."""
    if given == NO_LINE:
        return NO_LINE, "", ""
    parts = given.rsplit(None, 2)
    if len(parts) != len(("name", "phone", "url")):
        raise ValueError("must be none, or NAME PHONE https://ADDRESS")
    name, phone, url = parts
    return settings.name(name), settings.phone(phone), settings.https_address(url)


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


def accounts_and_folders() -> list[Thing]:
    return [
        Group(SHARED),
        User(WEB, SHARED),
        User(WORKER, SHARED),
        Folder(ETC, 0o755),
        Folder(KEYS, 0o755),
        Folder(DATA, 0o2770, WORKER, SHARED),
        Folder(STATE, 0o700, WORKER, WORKER),
        Folder(f"{STATE}/copies", 0o700, WORKER, WORKER),
    ]


def has_tables(url: str) -> bool:
    """Tell whether a database is in use; one that cannot be reached says so later."""
    engine = make_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    except DBAPIError:
        return False
    finally:
        engine.dispose()


def keys(made: Mapping[str, str]) -> list[File]:
    """Put each key where only those read it who need it: the web has none that opens."""
    return [
        File(f"{KEYS}/{kind}", 0o400, f"{key}\n", WORKER, WORKER)
        if kind in PRIVATE_TO_THE_WORKER
        else File(f"{KEYS}/{kind}", 0o640, f"{key}\n", "root", SHARED)
        for kind, key in made.items()
    ]


def settings_files(answers: Answers) -> list[File]:
    """Write the settings: one file for both, one for each, and a file for each secret."""
    line = zip(("NAME", "PHONE", "URL"), read_line(answers.safety_line), strict=True)
    common = {
        "BELONG_ENV": "production",
        "BELONG_BASE_URL": answers.base_url.rstrip("/"),
        "BELONG_SITE_NAME": answers.site,
        "BELONG_DISTRICT_NAME": answers.district,
        "BELONG_DISTRICT_SHORT": answers.short,
        "BELONG_TIMEZONE": answers.timezone,
        **{f"BELONG_SAFE2TELL_{name}": value for name, value in line if value},
        "BELONG_STATE_FOLDER": STATE,
        "BELONG_SECRET_KEYS_FILE": f"{KEYS}/secret",
        "BELONG_PUBLIC_KEYS_FILE": f"{KEYS}/public",
        "BELONG_ALLOWED_DOMAINS": answers.domains,
        "BELONG_MAIL_DOMAIN": answers.mail_domain,
        "BELONG_POSTAL_ADDRESS": answers.postal_address,
        "BELONG_CONTACT_INBOX": answers.office,
        "BELONG_PROXIES": "1",
    }
    web = {"BELONG_SMTP_URL": for_the_web(answers.relay_url)}
    worker = {
        "BELONG_PRIVATE_KEYS_FILE": f"{KEYS}/private",
        "BELONG_INDEX_KEYS_FILE": f"{KEYS}/index",
        "BELONG_SMTP_URL_FILE": f"{KEYS}/relay",
    }
    secrets = [File(f"{KEYS}/relay", 0o400, f"{answers.relay_url}\n", WORKER, WORKER)]
    if answers.is_sqlite:
        common["BELONG_DATABASE_URL"] = f"sqlite:///{DATABASE}"
    else:
        url, of_web = answers.database, answers.web_database or answers.database
        worker["BELONG_DATABASE_URL_FILE"] = f"{KEYS}/database"
        web["BELONG_DATABASE_URL_FILE"] = f"{KEYS}/web-database"
        if answers.web_role:
            worker["BELONG_WEB_DATABASE_ROLE"] = answers.web_role
        secrets.append(File(f"{KEYS}/database", 0o400, f"{url}\n", WORKER, WORKER))
        secrets.append(File(f"{KEYS}/web-database", 0o640, f"{of_web}\n", "root", SHARED))
    files = zip(SETTINGS, (common, web, worker), strict=True)
    return [*secrets, *(File(f"{ETC}/{name}", 0o644, _lines(given)) for name, given in files)]


def _lines(given: Mapping[str, str]) -> str:
    """Write settings as the shell and systemd both read them."""
    head = "# Written by `belong setup`. Every setting is in docs/configuration.md.\n"
    return head + "".join(f"{name}={_quoted(value)}\n" for name, value in given.items())


def _quoted(value: str) -> str:
    """Put what is not plain into quotes, in which nothing is expanded. Raises InvalidAnswer.

    A quote in a value is in double ones: systemd reads none that stands outside of quotes.
    """
    if UNSAFE.search(value):
        raise InvalidAnswer("A setting has something in it that the shell would read as its own.")
    if PLAIN.fullmatch(value):
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"


def unquoted(value: str) -> str:
    """Take the quotes around a value away."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def program_files() -> list[File]:
    """Take scripts and units as this version brings them."""
    found: list[File] = []
    for file in sorted((RESOURCES / "deploy").iterdir()):
        if file.suffix in {".service", ".timer"}:
            found.append(File(f"{UNITS}/{file.name}", 0o644, file.read_text(), is_ours=True))
        elif file.name.startswith("belong") and not file.suffix:
            place = f"/usr/local/bin/{file.name}"
            found.append(File(place, 0o755, file.read_text(), is_ours=True))
        elif file.name == "alert.env":
            found.append(File(f"{ETC}/alert.env", 0o600, file.read_text()))
    return found


def started_units(files: list[File]) -> list[str]:
    names = (Path(file.path).name for file in files if file.path.startswith(UNITS))
    return [name for name in names if STARTED.fullmatch(name)]


def worker_environment(machine: Machine) -> dict[str, str]:
    """Read the settings that the worker's commands run with."""
    given: dict[str, str] = {}
    for name in ("common.env", "worker.env"):
        text = machine.place(f"{ETC}/{name}").read_text()
        pairs = re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
        given |= {setting: unquoted(value) for setting, value in pairs}
    return given
