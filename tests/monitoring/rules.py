"""Write `deploy/prometheus-alerts.yml`: python -m tests.monitoring.rules."""

import json

from belong_mail.monitoring.checks import CHECKS, Check
from tests.processes import ROOT

RULES = ROOT / "deploy" / "prometheus-alerts.yml"
RULES_HEAD = """\
# Rules for Prometheus: rule_files names this file. Scrape /metrics with the token of
# BELONG_METRICS_TOKEN, under the job name "belong". The figures are totals, so neither a rule nor a
# label names a person or a group. They are the checks of `belong status`, written from
# belong_mail/monitoring/checks.py by `python -m tests.monitoring.rules`.
groups:
  - name: belong
    rules:
"""
# Rules that need more than a check: the web itself, and how a figure changes.
OTHER_RULES = (
    (
        "BelongAway",
        "absent(belong_on_hold)",
        True,
        "The web does not answer, or its figures cannot be read.",
        "Look at systemctl status belong-web, at the proxy, at the token, and at the database.",
    ),
    (
        "BelongAnswersLost",
        'sum(delta(belong_deliveries{state="uncertain"}[1h])) > 100',
        False,
        "The relay’s answers to more than 100 emails of the last hour were lost.",
        "Read the worker’s log, and look at the network between worker and relay.",
    ),
)


def alert_rules() -> str:
    rules = [
        (rule_name(each), _expression(each), each.pages, f"{each.wrong}.", each.todo)
        for each in CHECKS
    ]
    return RULES_HEAD + "".join(_rule(*each) for each in (*OTHER_RULES, *rules))


def rule_name(check: Check) -> str:
    return "Belong" + "".join(part.capitalize() for part in check.name.split("_"))


def _expression(check: Check) -> str:
    return f"belong_{check.name} {'<' if check.is_least else '>'} {check.limit:.12g}"


def _rule(name: str, expression: str, pages: bool, summary: str, todo: str) -> str:  # noqa: FBT001 - a table's column
    """Write a rule in YAML, of which a string of JSON is a part."""
    return (
        f"      - alert: {name}\n"
        f"        expr: {json.dumps(expression)}\n"
        "        for: 5m\n"
        f"        labels: {{severity: {'page' if pages else 'ticket'}}}\n"
        "        annotations:\n"
        f"          summary: {json.dumps(summary, ensure_ascii=False)}\n"
        f"          todo: {json.dumps(todo, ensure_ascii=False)}\n"
    )


if __name__ == "__main__":
    RULES.write_text(alert_rules())
