"""The settings: read, or refused with every complaint at once and no value of any."""

import re
from dataclasses import fields
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, make_url

from belong_mail import settings
from belong_mail.core import drivers, encryption
from belong_mail.core.district import HelpLine, HelpLines
from belong_mail.core.environment import ROOT
from belong_mail.inbound import pipe
from belong_mail.ops.launcher import WORKER_ALONE
from config import NAMES_OF_DISTRICT, OF_DISTRICT, SETTINGS, Config, InvalidSettings
from tests.district_names import DISTRICT, NAMED

KEYS, OTHER_KEYS = encryption.new_keys(), encryption.new_keys()
GIVEN = {f"BELONG_{kind.upper()}_KEYS": key for kind, key in KEYS.items()}
PRODUCTION = {
    **NAMED,
    "BELONG_DATABASE_URL": "postgresql+psycopg://belong:pa55w0rd@db.example.org/belong",
    "BELONG_SMTP_URL": "smtp://belong:pa55w0rd@relay.example.org:587",
    **GIVEN,
}
SECRETS = ["pa55w0rd", "geheim", *KEYS.values(), *OTHER_KEYS.values()]


def complaints(settings: dict[str, str]) -> list[str]:
    """Return what is said against settings; none of it may quote a secret."""
    with pytest.raises(InvalidSettings) as refused:
        Config.read(settings)
    said = str(refused.value)
    assert not [secret for secret in SECRETS if secret in said]
    return [line.removeprefix("  - ") for line in said.splitlines()[1:]]


def test_development_needs_keys_alone_and_takes_an_empty_value_for_none():
    read = Config.read(GIVEN)
    assert read.is_development
    assert read.base_url == "http://localhost:5000"
    assert read.database_url == f"sqlite:///{ROOT}/var/belong.db"
    assert read.smtp_url == "mailbox:"
    assert read.allowed_domains == ("dpsk12.org",)
    assert str(read.timezone) == "America/Denver"
    assert (read.send_rate, read.daily_quota) == (None, None)
    assert read.uncertain == timedelta(minutes=15)
    assert read.state_folder == ROOT / "var"
    assert read.help_lines == HelpLines(
        (HelpLine("Safe2Tell", "877-542-7233", "https://safe2tell.org"),),
        HelpLine("988 Lifeline", "988", "https://988lifeline.org"),
    )
    empty = {f"BELONG_{each.name.upper()}": "" for each in fields(Config)}
    assert Config.read({**empty, **GIVEN}) == Config.read(GIVEN)


@pytest.mark.parametrize(
    "url",
    [
        "https://belong.example.org", "http://192.0.2.7:5000", "http://0.0.0.0:5000",
        "http://localhost.example.org", "http://127.0.0.1.example.org", "http://[2001:db8::1]",
    ],
)  # fmt: skip
def test_development_is_not_for_others(url):
    """Without BELONG_ENV, everybody's email would show at /dev/mailbox."""
    for env in ({}, {"BELONG_ENV": "development"}):
        [said] = complaints({**GIVEN, **env, "BELONG_BASE_URL": url})
        assert said.startswith("BELONG_BASE_URL must be this machine's own address")
        assert "BELONG_ENV=production" in said
    for host in ("localhost", "127.0.0.2:80", "[::1]:5000", "belong.localhost"):
        assert Config.read({**GIVEN, "BELONG_BASE_URL": f"http://{host}"}).is_development


def test_the_web_server_needs_neither_private_nor_index_key():
    blind = {**PRODUCTION, "BELONG_PRIVATE_KEYS": "", "BELONG_INDEX_KEYS": ""}
    read = Config.read(blind)
    assert (read.private_keys, read.index_keys) == ((), ())
    del blind["BELONG_PRIVATE_KEYS"], blind["BELONG_INDEX_KEYS"]
    assert Config.read(blind) == read


def test_the_secrets_of_mailbox_and_relay_are_kept_from_the_web_server():
    secret = [each.name for each in fields(Config) if each.metadata["read"] is settings.secret]
    assert {f"BELONG_{name.upper()}" for name in secret} <= set(WORKER_ALONE)
    assert len(secret) == 3


def test_production_has_no_default_for_what_matters():
    said = complaints({"BELONG_ENV": "production"})
    assert {line.partition(" ")[0] for line in said} == {
        "BELONG_BASE_URL", "BELONG_SMTP_URL", "BELONG_SECRET_KEYS", "BELONG_PUBLIC_KEYS",
        "BELONG_MAIL_DOMAIN", "BELONG_POSTAL_ADDRESS", "BELONG_CONTACT_INBOX",
    }  # fmt: skip
    assert all(" is missing; .env.example says " in line for line in said)


@pytest.mark.parametrize("name", NAMES_OF_DISTRICT)
def test_a_district_that_says_one_name_of_its_own_says_all_that_is_denvers(name):
    unnamed = {each: value for each, value in PRODUCTION.items() if each not in DISTRICT}
    said = complaints({**unnamed, name: "Lakeside"})
    assert {line.partition(" ")[0] for line in said} == {*OF_DISTRICT} - {name}
    assert Config.read({**unnamed, name: SETTINGS[name].metadata["default"]}) == Config.read(
        PRODUCTION
    )


@pytest.mark.parametrize("between", [", ", "\n\n"])
def test_help_lines_are_read_by_commas_or_one_a_line_and_the_last_is_for_a_crisis(between):
    safety, crisis = "Safe Tip 800-555-0100 https://tip.example.org", "988 988 https://988.example"
    given = {**PRODUCTION, "BELONG_HELP_LINES": f"{safety}{between}{crisis}"}
    read = Config.read(given).help_lines
    assert read.safety == (HelpLine("Safe Tip", "800-555-0100", "https://tip.example.org"),)
    assert read.crisis == HelpLine("988", "988", "https://988.example")
    assert str(read) == f"{safety}\n{crisis}"
    assert Config.read({**given, "BELONG_HELP_LINES": crisis}).help_lines.safety == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENV", "prod"), ("ENV", "Production"),
        ("BASE_URL", "belong.example.org"), ("BASE_URL", "ftp://example.org"),
        ("BASE_URL", "https://"), ("BASE_URL", "https://example.org/?a=b"),
        ("BASE_URL", "https://a:geheim@example.org"), ("BASE_URL", "https://[bad"),
        ("BASE_URL", "https://example.org:port"), ("BASE_URL", "https://exa mple.org"),
        ("BASE_URL", "http://belong.example.org"),
        ("DATABASE_URL", "geheim"), ("DATABASE_URL", "mysql://u:geheim@h/x"),
        ("DATABASE_URL", "postgresql://u:geheim@h/x"), ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql+psycopg://u:geheim@h:geheim/x"),
        *(("DATABASE_URL", f"postgresql+psycopg://u:geheim{sign}geheim@h/x") for sign in "/?#@["),
        ("DATABASE_URL", "postgresql+psycopg://u:geheim@h"),
        ("DATABASE_URL", "POSTGRESQL+psycopg://u:geheim@h/x"),
        ("DATABASE_URL", "postgresql+psycopg:geheim"),
        ("SMTP_URL", "mailbox:"), ("SMTP_URL", "relay.example.org"), ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://10.1.2.3?tls=none"), ("SMTP_URL", "smtp://u:gehe/im@h"),
        ("SMTP_URL", "smtp://u@relay.example.org"),
        ("SECRET_KEYS", "short"), ("SECRET_KEYS", f"{KEYS['secret']},geheim"), ("SECRET_KEYS", ","),
        ("SECRET_KEYS", "a" * 31),
        ("PUBLIC_KEYS", "geheim"), ("PUBLIC_KEYS", ", ,"), ("PUBLIC_KEYS", OTHER_KEYS["public"]),
        ("PRIVATE_KEYS", "geheim"), ("PRIVATE_KEYS", OTHER_KEYS["private"]),
        ("INDEX_KEYS", "geheim"), ("INDEX_KEYS", "Z2VoZWlt"),
        ("INDEX_KEYS", f"{KEYS['index']},{OTHER_KEYS['index']}"),
        ("BACKUP_RECIPIENT", "geheim"), ("BACKUP_RECIPIENT", "c2hvcnQ="),
        ("MAIL_DOMAIN", "@example.org"), ("MAIL_DOMAIN", "exa mple.org"),
        ("MAIL_DOMAIN", "a\r\nb.org"), ("MAIL_DOMAIN", "-a.org"), ("MAIL_DOMAIN", "bücher.org"),
        ("MAIL_FROM", "belong@example.org"), ("MAIL_FROM", "a\r\nBcc: b"), ("MAIL_FROM", "x" * 201),
        ("POSTAL_ADDRESS", "one\ntwo"), ("ALERT_ADDRESS", "a@b.org, c"),
        ("COPY_TO_OFFICE", "maybe"), ("INBOUND_PIPE", "1"), ("LOG_FORMAT", "xml"),
        ("SITE_NAME", "<b>Belong</b>"), ("SITE_NAME", "Belong & Co"), ("SITE_NAME", "x" * 61),
        ("DISTRICT_NAME", "%(group)s"), ("DISTRICT_SHORT", "{{ x }}"), ("PROGRAM_NAME", 'a"b'),
        ("HELP_LINES", "x@y 988 https://a.example"), ("HELP_LINES", "- 988 https://a.example"),
        ("CONTACT_INBOX", "dps-belong"), ("CONTACT_INBOX", "a@b.org, c@d.org"),
        ("CONTACT_INBOX", "Belong <a@b.org>"), ("CONTACT_INBOX", "a@b.org\r\nBcc: c@d.org"),
        ("ALLOWED_DOMAINS", "@dpsk12.org"), ("ALLOWED_DOMAINS", ","),
        ("INBOUND_URL", "pop3://u:geheim@h"), ("INBOUND_URL", "imap://u:geheim@mail.example.org"),
        ("INBOUND_URL", "imaps://u@mail.example.org"),
        ("INBOUND_URL", "imaps://u:geheim@mail.example.org?auth=xoauth2"),
        ("INBOUND_CREDENTIALS", "geheim"),
        ("REFUSED_LOCAL_PARTS", "(["),
        ("TIMEZONE", "Denver"), ("TIMEZONE", "../etc/passwd"), ("TIMEZONE", "America"),
        ("SEND_RATE", "0"), ("SEND_RATE", "-1"), ("SEND_RATE", "1.5"), ("SEND_RATE", "many"),
        ("SEND_RATE", "٣"), ("SEND_RATE", "9" * 5000), ("DAILY_QUOTA", "0"), ("DAILY_QUOTA", "1k"),
        ("UNCERTAIN", "15"), ("UNCERTAIN", "soon"), ("UNCERTAIN", "-1m"), ("UNCERTAIN", "15 m"),
        ("PROXIES", "-1"), ("PROXIES", "one"), ("PROXIES", "10"),
        ("TRUSTED_NETWORKS", "10.0.0.1/8"), ("TRUSTED_NETWORKS", "here"),
        ("WEB_DATABASE_ROLE", "belong web"),
        ("METRICS_TOKEN", "a" * 31), ("METRICS_TOKEN", "bücher" * 9),
        ("VIDEO_URL", "javascript:alert(1)"), ("VIDEO_URL", "video"),
        ("HELP_LINES", "Line call-us https://a.example"), ("HELP_LINES", "Line 988 a.example"),
        ("HELP_LINES", "Line 988 http://a.example"), ("HELP_LINES", "988 https://a.example"),
        ("OIDC_ISSUER", "login"), ("OIDC_ISSUER", "http://login.example.org"),
        ("OIDC_ISSUER", "https://login.microsoftonline.com/common/v2.0"),
        ("OIDC_ISSUER", "https://login.microsoftonline.com/consumers/v2.0"),
        ("OIDC_ISSUER", "https://login.microsoftonline.com/organizations/v2.0"),
        ("OIDC_ISSUER", "https://login.example.org/?x=1"),
        ("OIDC_CLIENT_ID", "two words"), ("OIDC_CLIENT_SECRET", "gehëim"),
        ("OIDC_REQUIRED_CLAIM", "hd"), ("OIDC_REQUIRED_CLAIM", "hd=a b"),
        ("HELP_LINES", "Line 988;ext=1 https://a.example"), ("HELP_LINES", ","),
        ("HELP_LINES", "Line 988 javascript:alert(1)"),
        ("HELP_LINES", ",".join(["Line 988 https://a.example"] * 6)),
    ],
    ids=lambda word: word if len(word) < 40 else "long",
)  # fmt: skip
def test_each_bad_value_gets_one_clear_complaint(name, value):
    setting = f"BELONG_{name}"
    start = complaints({**PRODUCTION, setting: value})
    about = [line for line in start if line.startswith((setting, "BELONG_PUBLIC", "BELONG_PRIV"))]
    assert len(about) == 1
    assert about[0].endswith(".")
    if name != "ENV":
        assert start == about


ISSUER = {"BELONG_OIDC_ISSUER": "https://accounts.google.com"}
CLIENT = {"BELONG_OIDC_CLIENT_ID": "belong", "BELONG_OIDC_CLIENT_SECRET": "geheim"}


def test_an_identity_provider_is_set_whole_for_the_web_and_named_for_the_worker():
    assert Config.read({**PRODUCTION, **ISSUER}).oidc_issuer == "https://accounts.google.com"
    whole = {**ISSUER, **CLIENT, "BELONG_OIDC_REQUIRED_CLAIM": "hd=dpsk12.org"}
    assert Config.read({**PRODUCTION, **whole}).oidc_client_id == "belong"
    for missing in whole:
        less = {name: value for name, value in whole.items() if name != missing}
        assert len(complaints({**PRODUCTION, **less})) == 1
    anyones = {"BELONG_OIDC_REQUIRED_CLAIM": "email_verified=true"}
    assert len(complaints({**PRODUCTION, **whole, **anyones})) == 1


def test_an_issuer_stays_as_it_is_to_the_last_character_and_links_have_one_slash():
    issuer = "https://login.example.org/"
    assert Config.read({**PRODUCTION, "BELONG_OIDC_ISSUER": issuer}).oidc_issuer == issuer
    read = Config.read({**PRODUCTION, "BELONG_BASE_URL": "https://belong.example.org/"})
    assert read.base_url == "https://belong.example.org"


def test_a_provider_without_tls_is_for_development_on_this_machine():
    here = {"BELONG_OIDC_ISSUER": "http://127.0.0.1:8000", **CLIENT}
    assert Config.read({**GIVEN, **here}).oidc_issuer == "http://127.0.0.1:8000"
    assert complaints({**PRODUCTION, **here}) == [
        "BELONG_OIDC_ISSUER must start with https:// in production."
    ]


def test_sqlite_knows_no_roles():
    role = {"BELONG_WEB_DATABASE_ROLE": "belong_web"}
    assert Config.read({**PRODUCTION, **role}).web_database_role == "belong_web"
    [said] = complaints({**PRODUCTION, **role, "BELONG_DATABASE_URL": "sqlite:///x.db"})
    assert said == "BELONG_WEB_DATABASE_ROLE is for PostgreSQL: SQLite has no roles."


@pytest.mark.parametrize(
    "name", ["BELONG_COLOUR", "BELONG_", "BELONG_FILE", "BELONG_ENV_FILE_FILE"]
)
def test_an_unknown_name_stops_the_start(name):
    assert complaints({**PRODUCTION, name: "geheim"}) == [
        f"{name} is not a setting; .env.example lists them all."
    ]


@pytest.mark.parametrize("name", [name for name in PRODUCTION if name != "BELONG_ENV"])
def test_each_setting_may_come_from_a_file(name, tmp_path):
    file = tmp_path / "value"
    file.write_text(PRODUCTION[name] + "\n")
    given = {key: value for key, value in PRODUCTION.items() if key != name}
    assert Config.read({**given, f"{name}_FILE": str(file)}) == Config.read(PRODUCTION)


def test_a_value_outranks_a_file_and_a_file_must_be_there(tmp_path):
    missing = {"BELONG_MAIL_FROM_FILE": str(tmp_path / "geheim")}
    assert Config.read({**PRODUCTION, **missing, "BELONG_MAIL_FROM": "Us"}).mail_from == "Us"
    said = complaints({**PRODUCTION, **missing})
    assert said == ["BELONG_MAIL_FROM_FILE names a file that cannot be read."]
    folder = {"BELONG_MAIL_FROM_FILE": str(tmp_path)}
    assert complaints({**PRODUCTION, **folder}) == said
    needed = {**PRODUCTION, "BELONG_SECRET_KEYS_FILE": str(tmp_path)}
    del needed["BELONG_SECRET_KEYS"]
    assert complaints(needed) == ["BELONG_SECRET_KEYS_FILE names a file that cannot be read."]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:p%40ss%2Fword@db.example.org/belong",
        "postgresql+psycopg://u@[2001:db8::1]:5433/belong",
        "postgresql+psycopg:///belong?host=/run/postgresql",
        "postgresql+psycopg://u@:5433/belong?host=/run/PostgreSQL",
        "postgresql+psycopg://u@/belong?host=one,two&port=5432,5433",
        "postgresql+psycopg://u@one/belong?sslmode=verify-full&options=-c+lock_timeout%3D20s",
    ],
)
def test_a_url_is_read_as_sqlalchemy_reads_it(url):
    """The mail server's pipe reads it without SQLAlchemy, and is to reach the same database."""
    assert Config.read({**PRODUCTION, "BELONG_DATABASE_URL": url}).database_url == url
    [], told = create_engine(url).dialect.create_connect_args(make_url(url))
    of_sqlalchemy = {name: str(value) for name, value in told.items() if name != "context"}
    assert pipe.postgresql_options(url) == of_sqlalchemy


def test_a_file_may_have_any_name():
    given = Config.read({**GIVEN, "BELONG_DATABASE_URL": "sqlite:////srv/50%25%23%3F.db?timeout=3"})
    assert drivers.parse_sqlite_url(given.database_url) == ("/srv/50%#?.db", 3)
    assert make_url(given.database_url).database == "/srv/50%#?.db"


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("hold", None),
    ],
)
def test_the_wait_of_uncertain_issues_is_read(value, wait):
    assert Config.read({**PRODUCTION, "BELONG_UNCERTAIN": value}).uncertain == wait


def test_the_example_lists_every_setting_once_with_its_default_and_says_which_are_required():
    text = (ROOT / ".env.example").read_text()
    listed = re.findall(r"((?:^# .+\n)+)#(BELONG_\w+)=(.*)$", text, re.MULTILINE)
    assert len(listed) == text.count("#BELONG_") == len(SETTINGS)
    shown = {name: value.strip("'") for _, name, value in listed}
    assert shown.keys() == SETTINGS.keys()
    defaults = {name: value for name, value in shown.items() if not name.endswith("_KEYS")}
    assert Config.read({**defaults, **GIVEN}) == Config.read(GIVEN)
    assert {
        name
        for about, name, _ in listed
        if "(required in production)" in " ".join(about.replace("#", "").split())
    } == {name for name, each in SETTINGS.items() if each.metadata["default"] is None}
