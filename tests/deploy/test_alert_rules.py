"""The alert rules for Prometheus: what they name is exported, and each comes when it should."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from tests.deploy.programs import program
from tests.markers import on_sqlite
from tests.processes import ROOT

RULES = ROOT / "deploy" / "prometheus-alerts.yml"
TOKEN = "a-token-of-an-operator-with-forty-signs"
WITH_TOKEN = pytest.mark.parametrize("settings", [{"BELONG_METRICS_TOKEN": TOKEN}])
# Two hours, a value each minute: what makes an alert come. All else stays as a new site has it.
MINUTES = 120
CAUSES: dict[str, dict[str, str]] = {
    "BelongAway": {},
    "BelongWorkerDead": {"belong_worker_alive": f"0x{MINUTES}"},
    "BelongOnHold": {"belong_on_hold": f"1x{MINUTES}"},
    "BelongEmailWaits": {"belong_oldest_due_seconds": f"0+60x{MINUTES}"},
    "BelongRelaySilent": {"belong_canary_seconds": f"0+60x{MINUTES}"},
    "BelongRequestsWait": {"belong_oldest_request_seconds": f"0+60x{MINUTES}"},
    "BelongRequestsUnreadable": {"belong_unreadable_requests": f"1x{MINUTES}"},
    "BelongFlooded": {"belong_requests": f"10001x{MINUTES}"},
    "BelongNewsletterLate": {"belong_overdue_issues": f"1x{MINUTES}"},
    "BelongNewsletterUndecided": {"belong_undecided_issues": f"1x{MINUTES}"},
    "BelongBouncing": {"belong_coming_back": f"1x{MINUTES}"},
    "BelongAnswersLost": {'belong_deliveries{state="uncertain"}': f"0+2x{MINUTES}"},
    "BelongMessageUndelivered": {"belong_undelivered": f"1x{MINUTES}"},
    "BelongBouncesUnread": {
        "belong_inbound_failures": f"9x{MINUTES}",
        "belong_inbound_last_look_timestamp_seconds": f"0x{MINUTES}",
    },
    "BelongBackupMissing": {"belong_backup_seconds": f"129000+60x{MINUTES}"},
    "BelongDiskFull": {"belong_disk_free_bytes": f"1000000x{MINUTES}"},
    "BelongClaimsLost": {"belong_orphans": f"1x{MINUTES}"},
}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    listed: list[dict[str, Any]] = group["rules"]
    return listed


@pytest.fixture
def exported(app: Flask) -> dict[str, str]:
    """Return what /metrics says: a series each, with its labels, and its value."""
    answer = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in lines)


@on_sqlite
@WITH_TOKEN
def test_every_rule_names_figures_and_labels_that_are_exported(exported: Mapping[str, str]) -> None:
    names = {series.partition("{")[0] for series in exported}
    for rule in rules():
        named = re.findall(r"\bbelong_\w+(?:\{[^}]*\})?", rule["expr"])
        assert named, rule["alert"]
        for series in named:
            assert series in exported or series in names, (rule["alert"], series)


def test_every_rule_says_what_happened_and_what_to_do() -> None:
    for rule in rules():
        assert re.fullmatch(r"Belong[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert {"summary", "todo"} == rule["annotations"].keys()
        assert all(words.endswith(".") for words in rule["annotations"].values())
    assert sorted(CAUSES) == sorted(rule["alert"] for rule in rules())


@on_sqlite
@WITH_TOKEN
def test_each_alert_comes_with_its_cause_alone(exported: Mapping[str, str], tmp_path: Path) -> None:
    """As promtool sees it: of a site as it is when new, and with one thing wrong after another."""
    # promtool cannot write nan, which compares like nothing at all.
    known = {series: value for series, value in exported.items() if value != "nan"}
    sound = {series: f"{value}x{MINUTES}" for series, value in known.items()}
    sound["belong_worker_alive"] = f"1x{MINUTES}"
    checks = [check(sound, "")]
    for alert, cause in CAUSES.items():
        assert cause.keys() <= exported.keys()
        checks.append(check(sound | cause if cause else {}, alert))
    file = tmp_path / "tests.yml"
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": checks}
    file.write_text(yaml.safe_dump(whole))
    for command in (("check", "rules", RULES), ("test", "rules", file)):
        done = subprocess.run(
            [program("promtool"), *command],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def check(series: Mapping[str, str], comes: str) -> dict[str, Any]:
    """Expect one alert after two hours, and no other; or none."""
    expected = {
        rule["alert"]: [
            {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
        ] * (rule["alert"] == comes)
        for rule in rules()
    }  # fmt: skip
    return {
        "name": comes or "all is well",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{MINUTES}m", "alertname": name, "exp_alerts": alerts}
            for name, alerts in expected.items()
        ],
    }
