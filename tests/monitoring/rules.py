"""Write `deploy/prometheus-alerts.yml`: python -m tests.monitoring.rules."""

from belong_mail.monitoring.metrics import alert_rules
from tests.processes import ROOT

RULES = ROOT / "deploy" / "prometheus-alerts.yml"

if __name__ == "__main__":
    RULES.write_text(alert_rules())
