"""The views of operators: the doctor, the figures, and halting an issue by a command."""

import os
import re
from datetime import timedelta

import dns.exception
import pytest
import time_machine
from sqlalchemy import update

from belong_mail.core.db import now
from belong_mail.delivery.models import Delivery
from belong_mail.mail.smtp.connection import RelayUnavailable
from belong_mail.monitoring import doctor
from belong_mail.ops.inspection import check_database
from tests.database import execute
from tests.delivery.factories import queue
from tests.markers import on_both, on_postgresql, on_sqlite
from tests.monitoring.looking import doctor as told
from tests.monitoring.looking import read
from tests.servers.smtp import Server

pytestmark = pytest.mark.usefixtures("services")

TOKEN = "a-token-of-an-operator-with-forty-signs"
WITH_TOKEN = pytest.mark.parametrize("settings", [{"BELONG_METRICS_TOKEN": TOKEN}])


@on_both("rights and files")
def test_all_is_well_where_all_is_well(environment):
    code, well, bad = told({**environment, "BELONG_SMTP_URL": "mailbox:"})
    assert (code, bad) == (0, [])
    assert "The database schema is up to date." in well


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_answers_before_its_disk_does_is_said(environment):
    careless = {"BELONG_SMTP_URL": "mailbox:", "PGOPTIONS": "-c synchronous_commit=off"}
    code, well, bad = told({**environment, **careless})
    expected = "PostgreSQL's synchronous_commit is off, so a power cut loses data. Turn it on."
    assert (code, bad) == (1, [expected])
    assert "The keys here open rows of every kind in the database." in well, "the rest is told too"


@on_sqlite
def test_the_relay_is_greeted_and_no_message_is_begun(environment, relay):
    _, well, _ = told(environment)
    assert any("The relay answers, without TLS, on this machine" in words for words in well)
    assert [command[:4].upper() for command in relay.commands] == ["EHLO", "QUIT"]
    relay.always("CONNECT", "421 4.7.0 Too many connections")
    [refused] = [words for words in told(environment)[2] if "at CONNECT" in words]
    assert "It answers, and refuses us" in refused
    relay.stop()
    code, _, bad = told(environment)
    assert code == 1
    assert any("at CONNECT: ConnectionRefusedError. Is its name right" in words for words in bad)


@pytest.mark.parametrize(
    ("step", "why", "advice"),
    [
        ("CONNECT", "refused", "Is its name right? Is it running? Is a firewall"),
        ("CONNECT", "answered 421", "refuses us: by a limit, or by a rule on .* Its log"),
        ("STARTTLS", "not offered", "no STARTTLS, and nothing .* Turn TLS on .*, or take its port"),
        ("STARTTLS", "unknown CA", "valid for this name, and signed by .* add [?]ca=FILE"),
        ("AUTH", "answered 535", "user and password right? With auth=xoauth2: may this user"),
        ("AUTH", "answered 454", "refuses us: by a limit"),
        ("TOKEN", "expired", "BELONG_SMTP_CREDENTIALS right, and does the token endpoint"),
    ],
)
def test_each_failure_of_a_relay_has_its_own_advice(step, why, advice):
    assert re.search(advice.replace("? ", "[?] "), doctor.advice_for(RelayUnavailable(step, why)))


@on_sqlite
def test_a_relay_that_takes_too_small_messages_for_flyers_is_said(environment):
    for size, is_small in (("9999999", True), ("10000000", False), ("0", False)):
        with Server(extensions=(f"SIZE {size}",)) as relay:
            _, _, bad = told(
                {**environment, "BELONG_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none"}
            )
        assert any("Raise the relay’s limit" in words for words in bad) == is_small


@on_sqlite
def test_email_that_the_relay_has_not_judged_counts_as_waiting_though_it_is_retried(
    environment, services, worker, relay
):
    queue(services, 1)
    relay.always("MAIL", "535 5.7.8 Authentication credentials invalid")
    worker.drain()
    execute(services, update(Delivery).values(created_at=now() - timedelta(minutes=16)))
    _, _, bad = told({**environment, "BELONG_SMTP_URL": "mailbox:"})
    [words] = [words for words in bad if "(now 16 minutes)." in words]
    assert "The relay’s last answer: 535 5.7.8 authentication." in words


@on_sqlite
def test_keys_that_others_can_read_and_keys_that_are_missing_are_said(environment, tmp_path):
    given = {**environment, "BELONG_SMTP_URL": "mailbox:"}
    for kind, mode in (("PRIVATE", 0o640), ("INDEX", 0o640), ("SECRET", 0o644)):
        file = tmp_path / kind
        file.write_text(given.pop(f"BELONG_{kind}_KEYS"))
        file.chmod(mode)
        given[f"BELONG_{kind}_KEYS_FILE"] = str(file)
    assert told(given)[2] == [
        f"BELONG_{kind}_KEYS_FILE: other users can read the file. Fix it with chmod."
        for kind in ("PRIVATE", "INDEX", "SECRET")
    ]
    for kind, mode in (("PRIVATE", 0o600), ("INDEX", 0o600), ("SECRET", 0o640)):
        (tmp_path / kind).chmod(mode)
    assert told(given)[2] == []
    del given["BELONG_INDEX_KEYS_FILE"]
    given["BELONG_INDEX_KEYS"] = ""
    assert "The worker's keys are not here" in told(given)[2][0]
    assert os.environ.get("BELONG_PRIVATE_KEYS_FILE") is None


def test_the_records_of_the_mail_domain_are_judged():
    good = {
        ("d.example", "TXT"): ["v=spf1 include:relay.example -all", "something else"],
        ("_dmarc.d.example", "TXT"): ["v=DMARC1; p=reject"],
        ("d.example", "MX"): ["10 mx.d.example."],
    }

    def judged(records: dict[tuple[str, str], list[str]]) -> list[str]:
        found = doctor.check_names("d.example", lambda *asked: records.get(asked, []))
        return [finding.words.partition(":")[0] for finding in found if finding.is_wrong]

    assert judged(good) == []
    assert judged({}) == ["SPF", "DMARC", "MX"]
    for none in (["v=spf1 -all"] * 2, ["v=spf10 +all"]):
        assert judged({**good, ("d.example", "TXT"): none}) == ["SPF"]
    for none in (["v=DMARC1; p=reject"] * 2, ["v=DMARC2; p=reject"]):
        assert judged({**good, ("_dmarc.d.example", "TXT"): none}) == ["DMARC"]
    assert judged({**good, ("d.example", "MX"): []}) == ["MX"]

    def unreachable(_name: str, _kind: str) -> list[str]:
        raise dns.exception.Timeout

    [finding] = doctor.check_names("d.example", unreachable)
    assert not finding.is_wrong
    assert "not checked" in finding.words


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("Example.ORG", "example.org is reject"),
        ("news.example.org", "example.org is quarantine"),
        ("own.example.org", "own.example.org is none"),
    ],
)
def test_the_policy_of_a_domain_is_its_own_or_that_of_the_next_above(domain, said):
    records = {
        "_dmarc.example.org": ["v=DMARC1; p=reject; sp=quarantine; adkim=s"],
        "_dmarc.own.example.org": ["v=DMARC1"],
    }
    found = doctor.check_names(domain, lambda name, _kind: records.get(name, []))
    assert f"DMARC: the policy of {said}." in [finding.words for finding in found]


@on_both("counts")
@WITH_TOKEN
def test_metrics_are_totals_and_name_no_group(visitor):
    answer = visitor.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.mimetype == "text/plain"
    figures = read(answer.text)
    assert figures['deliveries{state="queued"}'] == "0"
    assert figures["on_hold"] == "0"
    assert figures["worker_missing"] == "1"
    assert figures["worker_seconds"] == "nan"
    assert "disk_free_bytes" in figures
    assert not [name for name in figures if "village" in name or "group" in name]


@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_METRICS_TOKEN": TOKEN}, {}], ids=["set", "none"])
def test_metrics_are_no_page_without_the_token_or_where_none_is_set(visitor):
    wrong = ("", "Bearer", "Bearer ", "Bearer no", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x")
    for headers in ({}, *({"Authorization": given} for given in wrong)):
        answer = visitor.client.get("/metrics", headers=headers)
        assert answer.status_code == 404, headers
        assert "belong_" not in answer.text


@on_postgresql
def test_a_clock_that_is_behind_or_ahead_of_the_databases_is_said(services):
    for minutes, is_said in ((-3, True), (1, False), (3, True)):
        with time_machine.travel(now() + timedelta(minutes=minutes)):
            words = "".join(each.words for each in check_database(services.engine))
        assert ("clock and the database's differ" in words) is is_said


@on_sqlite
def test_a_damaged_page_of_the_file_is_found(services, tmp_path):
    services.engine.dispose()
    file = tmp_path / "belong.db"
    file.write_bytes(file.read_bytes()[:-4096] + b"x" * 4096)
    wrong = [each.words for each in check_database(services.engine) if each.is_wrong]
    assert "The database file is damaged" in wrong[0]
