"""Unit tests of the alerts, with `promtool test rules`.

Each test checks that only the expected alerts fire.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.tests.manifests.objects import K8S
from tools.projects import SERVICES
from tools.prometheus import promtool

ROOT = K8S.parent
RULES = yaml.safe_load((K8S / "components" / "observability" / "alerts.yaml").read_text())["spec"]
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
# The values that Prometheus scrapes from a healthy system. In promtool's notation, `a+bxn` means a, a+b, …, a+b·n.
HEALTHY = {
    **{f'up{{job="{service}",instance="1"}}': "1x1000" for service in SERVICES},
    'http_request_duration_seconds_count{job="web",status="200"}': "0+1000x1000",
    'http_request_duration_seconds_count{job="web",status="503"}': "0x1000",
    'gunicorn_threads{job="web",instance="1"}': "8x1000",
    'gunicorn_busy_threads{job="web",instance="1"}': "3x1000",
    'gunicorn_queued_requests{job="web",instance="1"}': "0x1000",
    'database_usable{job="thoughts-api",database="replica"}': "1x1000",
    'security_events_total{job="users-api",event="login.failed"}': "0+1x1000",
    'security_events_total{job="users-api",event="session.token_reused"}': "0x1000",
    'signing_key_timestamp_seconds{job="users-api"}': "0x1000",
    'kube_deployment_spec_replicas{deployment="web"}': "3x1000",
    'kube_deployment_status_replicas_available{deployment="web"}': "3x1000",
    'kube_job_status_failed{job_name="users-api-migrate-v1"}': "1x1000",
    'kube_job_status_succeeded{job_name="users-api-migrate-v1"}': "1x1000",
    'certmanager_certificate_expiration_timestamp_seconds{name="web"}': "7776000x1000",
    'kube_cronjob_status_last_successful_time{cronjob="users-api-backup"}': "0+60x1000",
}
DAY = 24 * 3600
# Each scenario has the metrics that differ from HEALTHY, and all alerts that must then fire.
SCENARIOS: list[tuple[dict[str, str], set[str]]] = [
    ({}, set()),
    # 1 % of the requests fail. ErrorBudgetBurnsFast fires above 1.44 %, and ErrorBudgetBurnsSlowly above 0.6 %.
    ({'http_request_duration_seconds_count{job="web",status="503"}': "0+10x1000"}, {"ErrorBudgetBurnsSlowly"}),
    (
        {'http_request_duration_seconds_count{job="web",status="503"}': "0+100x1000"},
        {"ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"},
    ),
    # A short outage an hour ago no longer triggers an alert.
    ({'http_request_duration_seconds_count{job="web",status="503"}': "0x100 0+100x20 2000x1000"}, set()),
    ({'gunicorn_busy_threads{job="web",instance="1"}': "8x1000"}, {"ThreadsSaturated"}),
    ({'gunicorn_queued_requests{job="web",instance="1"}': "2x1000"}, {"ThreadsSaturated"}),
    ({'up{job="web",instance="2"}': "0x1000"}, {"PodNotScraped"}),
    ({'up{job="web",instance="1"}': "0x1000"}, {"PodNotScraped", "NoPods"}),
    ({'database_usable{job="thoughts-api",database="replica"}': "0x1000"}, {"ReplicaNotUsed"}),
    ({'security_events_total{job="users-api",event="login.failed"}': "0+120x1000"}, {"LoginAttack"}),
    ({'security_events_total{job="users-api",event="session.token_reused"}': "0x390 1x1000"}, {"TokenReused"}),
    ({'signing_key_timestamp_seconds{job="users-api"}': f"{-181 * DAY}x1000"}, {"SigningKeyOld"}),
    ({'kube_deployment_status_replicas_available{deployment="web"}': "2x1000"}, {"PodsNotReady"}),
    ({'kube_job_status_succeeded{job_name="users-api-migrate-v1"}': "0x1000"}, {"MigrationFailed"}),
    ({'certmanager_certificate_expiration_timestamp_seconds{name="web"}': f"{10 * DAY}x1000"}, {"CertificateExpires"}),
    ({'kube_cronjob_status_last_successful_time{cronjob="users-api-backup"}': f"{-30 * 3600}x1000"}, {"BackupOld"}),
]


def test_scenarios_cover_every_alert() -> None:
    assert {name for _, alerts in SCENARIOS for name in alerts} == {rule["alert"] for rule in ALERTS}


def test_only_the_right_alerts_fire(tmp_path: Path) -> None:
    tests: list[dict[str, Any]] = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in (HEALTHY | changed).items()],
            "promql_expr_test": [
                {
                    "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "400m",
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts)],
                }
            ],
        }
        for changed, alerts in SCENARIOS
    ]
    run(tests, tmp_path)


@pytest.mark.parametrize("values", ["0x1000", "_x1000"], ids=["down", "missing"])
def test_alert_names_the_service_without_pods(tmp_path: Path, values: str) -> None:
    series = HEALTHY | {'up{job="web",instance="1"}': values}
    alert = {
        "exp_labels": {"severity": "critical", "job": "web"},
        "exp_annotations": {
            "summary": "No pod of web answers.",
            "runbook": "docs/observability.md#nopods",
        },
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "400m", "alertname": "NoPods", "exp_alerts": [alert]}],
    }
    run([test], tmp_path)


def run(tests: list[dict[str, Any]], folder: Path) -> None:
    """Run tests of the rules with promtool."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_and_a_section_in_the_docs(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert anchor == rule["alert"].lower()
