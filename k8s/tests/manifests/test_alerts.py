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
from tools.kubectl import NAMESPACE
from tools.projects import SERVICES
from tools.prometheus import promtool

ROOT = K8S.parent
RULES = yaml.safe_load((K8S / "components" / "observability" / "alerts.yaml").read_text())["spec"]
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RUNBOOKS = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in ALERTS}
# The runbooks are in the repository that Argo CD deploys.
REPOSITORY = yaml.safe_load((K8S / "argo-cd" / "application.yaml").read_text())["spec"]["source"]["repoURL"]
DAY = 24 * 3600
# The values that Prometheus scrapes from a healthy system, without the label `namespace`. In promtool's notation,
# `a+bxn` means a, a+b, …, a+b·n, and `_xn` means that the series is missing.
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
    # One pod of this Job failed, and the next one succeeded.
    'kube_job_status_failed{job_name="users-api-migrate-v1",reason=""}': "1x1000",
    'kube_job_status_succeeded{job_name="users-api-migrate-v1"}': "1x1000",
    'kube_job_failed{job_name="users-api-migrate-v1",condition="true"}': "_x1000",
    'certmanager_certificate_expiration_timestamp_seconds{name="web-tls"}': "7776000x1000",
    'certmanager_certificate_ready_status{name="web-tls",condition="True"}': "1x1000",
    'kube_cronjob_created{cronjob="users-api-backup"}': f"{-30 * DAY}x1000",
    'kube_cronjob_created{cronjob="users-api-rotate-keys"}': f"{-30 * DAY}x1000",
    # This CronJob is suspended, so it has never run.
    'kube_cronjob_created{cronjob="users-api-restore"}': f"{-30 * DAY}x1000",
    'kube_cronjob_status_last_successful_time{cronjob="users-api-backup"}': "0+60x1000",
    'kube_cronjob_status_last_successful_time{cronjob="users-api-rotate-keys"}': "0+60x1000",
}
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
    ({'kube_job_failed{job_name="users-api-migrate-v1",condition="true"}': "1x1000"}, {"MigrationFailed"}),
    # The certificate was never issued.
    *(
        (
            {
                'certmanager_certificate_expiration_timestamp_seconds{name="web-tls"}': expiry,
                'certmanager_certificate_ready_status{name="web-tls",condition="True"}': "0x1000",
            },
            {"CertificateNotReady"},
        )
        for expiry in ("0x1000", "_x1000")
    ),
    (
        {'certmanager_certificate_expiration_timestamp_seconds{name="web-tls"}': f"{10 * DAY}x1000"},
        {"CertificateExpires"},
    ),
    ({'kube_cronjob_status_last_successful_time{cronjob="users-api-backup"}': f"{-30 * 3600}x1000"}, {"BackupOld"}),
    # No backup has ever succeeded.
    ({'kube_cronjob_status_last_successful_time{cronjob="users-api-backup"}': "_x1000"}, {"BackupOld"}),
    # The first backup is not due yet.
    (
        {
            'kube_cronjob_status_last_successful_time{cronjob="users-api-backup"}': "_x1000",
            'kube_cronjob_created{cronjob="users-api-backup"}': "0x1000",
        },
        set(),
    ),
    (
        {'kube_cronjob_status_last_successful_time{cronjob="users-api-rotate-keys"}': f"{-6 * 3600}x1000"},
        {"CronJobFails"},
    ),
    # The key has never been rotated.
    ({'kube_cronjob_status_last_successful_time{cronjob="users-api-rotate-keys"}': "_x1000"}, {"CronJobFails"}),
]
# In this system, everything has failed, including a service and a certificate that are not ours.
BROKEN = HEALTHY | {
    'up{job="billing-api",instance="1"}': "0x1000",
    'certmanager_certificate_ready_status{name="billing-tls",condition="True"}': "0x1000",
}
for changed, alerts in SCENARIOS:
    if alerts:
        BROKEN |= changed


def test_scenarios_cover_every_alert() -> None:
    assert {name for _, alerts in SCENARIOS for name in alerts} == {rule["alert"] for rule in ALERTS}


def in_namespace(values: dict[str, str], namespace: str = NAMESPACE, label: str = "namespace") -> dict[str, str]:
    """Return the series with a label that contains their namespace."""
    return {series.replace("{", f'{{{label}="{namespace}",', 1): value for series, value in values.items()}


def fire(series: dict[str, str], alerts: set[str]) -> dict[str, Any]:
    """Return a promtool test which checks that these series trigger only these alerts."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname, namespace) (ALERTS{alertstate="firing"})',
                "eval_time": "400m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}",namespace="{NAMESPACE}"}}', "value": 1} for name in sorted(alerts)
                ],
            }
        ],
    }


def test_only_the_right_alerts_fire(tmp_path: Path) -> None:
    run([fire(in_namespace(HEALTHY | changed), alerts) for changed, alerts in SCENARIOS], tmp_path)


def test_a_system_in_another_namespace_fires_no_alerts(tmp_path: Path) -> None:
    ours = in_namespace(HEALTHY)
    foreign = [BROKEN, *(in_namespace(BROKEN, "billing", label) for label in ("namespace", "exported_namespace"))]
    # The last test proves that the foreign system has every failure.
    all_alerts = {rule["alert"] for rule in ALERTS}
    run([*(fire(ours | series, set()) for series in foreign), fire(in_namespace(BROKEN), all_alerts)], tmp_path)


def test_certificates_may_have_their_namespace_in_another_label(tmp_path: Path) -> None:
    ours = {series: value for series, value in HEALTHY.items() if not series.startswith("certmanager")}
    tests = []
    for changed, alerts in SCENARIOS:
        if alerts & {"CertificateExpires", "CertificateNotReady"}:
            series = in_namespace(HEALTHY | changed, label="exported_namespace")
            certificates = {name: value for name, value in series.items() if name.startswith("certmanager")}
            tests.append(fire(in_namespace(ours) | in_namespace(certificates, "cert-manager"), alerts))
    assert len(tests) == 3
    run(tests, tmp_path)


@pytest.mark.parametrize("values", ["0x1000", "_x1000"], ids=["down", "missing"])
def test_alert_names_the_service_without_pods(tmp_path: Path, values: str) -> None:
    # A service `web` of another system is up.
    series = in_namespace(HEALTHY, "billing") | in_namespace(HEALTHY | {'up{job="web",instance="1"}': values})
    alert = {
        "exp_labels": {"severity": "critical", "namespace": NAMESPACE, "job": "web"},
        "exp_annotations": {
            "summary": "No pod of web answers.",
            "runbook_url": RUNBOOKS["NoPods"],
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
    url = re.fullmatch(rf"{re.escape(REPOSITORY)}/.+?/(docs/[a-z]+\.md)#([a-z]+)", RUNBOOKS[rule["alert"]])
    assert url
    file, anchor = url.groups()
    headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert anchor == rule["alert"].lower()
