"""The rules for Prometheus are the table of checks, and each alert comes when it should."""

import re
import subprocess
from collections.abc import Mapping
from typing import Any

import yaml

from belong_mail.monitoring.checks import CHECKS, Check
from tests.deploy.programs import program
from tests.markers import on_sqlite
from tests.monitoring.looking import figures
from tests.monitoring.rules import RULES, alert_rules, rule_name

# Two hours, a value each minute: what makes an alert come. All else stays as a new site has it.
MINUTES = 120


def beyond(check: Check) -> float:
    return check.limit + (-1 if check.is_least else 1)


CAUSES: dict[str, dict[str, str]] = {
    "BelongAway": {},
    "BelongAnswersLost": {'deliveries{state="uncertain"}': f"0+2x{MINUTES}"},
    **{rule_name(check): {check.name: f"{beyond(check):.12g}x{MINUTES}"} for check in CHECKS},
}
# A new site has no worker yet, and no file of a database.
SOUND = {"worker_missing": f"0x{MINUTES}", "disk_free_bytes": f"1000000000x{MINUTES}"}


def test_the_rules_are_written_down():
    """Write them anew with: python -m tests.monitoring.rules."""
    assert RULES.read_text() == alert_rules()


@on_sqlite
def test_each_alert_comes_with_its_cause_alone(services, tmp_path):
    """As promtool sees it: of a site as it is when new, and with one thing wrong after another."""
    exported = figures(services)
    # promtool cannot write nan, which compares like nothing at all.
    known = {series: value for series, value in exported.items() if value != "nan"}
    sound = {series: f"{value}x{MINUTES}" for series, value in known.items()} | SOUND
    cases = [case(sound, "")]
    for alert, cause in CAUSES.items():
        assert cause.keys() <= exported.keys()
        cases.append(case(sound | cause if cause else {}, alert))
    file = tmp_path / "tests.yml"
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases}
    file.write_text(yaml.safe_dump(whole))
    for command in (("check", "rules", RULES), ("test", "rules", file)):
        done = subprocess.run(
            [program("promtool"), *command],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def case(series: Mapping[str, str], comes: str) -> dict[str, Any]:
    """Expect one alert after two hours, and no other; or none."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    expected = {
        rule["alert"]: [
            {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
        ] * (rule["alert"] == comes)
        for rule in group["rules"]
    }  # fmt: skip
    assert all(re.fullmatch(r"Belong[A-Z]\w+", name) for name in expected)
    return {
        "name": comes or "all is well",
        "interval": "1m",
        "input_series": [
            {"series": f"belong_{name}", "values": values} for name, values in series.items()
        ],
        "alert_rule_test": [
            {"eval_time": f"{MINUTES}m", "alertname": name, "exp_alerts": alerts}
            for name, alerts in expected.items()
        ],
    }
