"""The rules for Prometheus are the table of checks, of figures that the site exports."""

import re
import subprocess

import yaml

from tests.deploy.programs import program
from tests.markers import on_sqlite
from tests.monitoring.looking import figures
from tests.monitoring.rules import RULES, alert_rules

SERIES = re.compile(r"\bbelong_(\w+(?:{[^}]*})?)")


def test_the_rules_are_written_down():
    """Write them anew with: python -m tests.monitoring.rules."""
    assert RULES.read_text() == alert_rules()


@on_sqlite
def test_prometheus_reads_the_rules_and_the_site_has_their_figures(services):
    command = [str(program("promtool")), "check", "rules", str(RULES)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    exported = figures(services)
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        assert {*SERIES.findall(rule["expr"])} <= exported.keys(), rule
