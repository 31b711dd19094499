"""Test the dashboards and the alerts with a Prometheus that scrapes the system.

The dashboards must show data. An outage must trigger only the right alerts.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from tools.dashboards import FOLDER
from tools.kubectl import NAMESPACE
from tools.local import ROOT
from tools.prometheus import prometheus
from tools.system import System, answers, free_ports, outage, start, stop, within

TIMEOUT = 30
# These panels show data only with PostgreSQL, a read replica or a firing alert.
WITHOUT_DATA = {"Steps of a search", "Read replica", "Alerts"}
Query = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = start(tmp_path_factory.mktemp("own"))
    yield system
    stop(system)


@pytest.fixture(scope="module")
def query(own: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """Start a Prometheus for the system, and return a function that runs a query.

    Prometheus scrapes the system every second.
    """
    folder = tmp_path_factory.mktemp("prometheus")
    alerts = ROOT / "k8s" / "components" / "observability" / "alerts.yaml"
    rules = yaml.safe_load(alerts.read_text())["spec"]
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)  # fire alerts immediately, not after several minutes
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    targets = {"users-api": own.users, "thoughts-api": own.thoughts, "web": own.web}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": name,
                "static_configs": [
                    {"targets": [f"127.0.0.1:{urlsplit(url).port}"], "labels": {"namespace": NAMESPACE}}
                ],
            }
            for name, url in targets.items()
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [prometheus(), f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (
        Path(folder / "log").open("wb") as log,
        subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log) as process,
    ):
        try:
            assert within(TIMEOUT, lambda: answers(f"{url}/-/ready"))
            yield lambda text: requests.get(f"{url}/api/v1/query", params={"query": text}, timeout=TIMEOUT).json()[
                "data"
            ]["result"]
        finally:
            process.terminate()


def use(system: System, seconds: float) -> None:
    """Send requests to all services for the given number of seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        requests.get(f"{system.web}/search", params={"search": "a"}, timeout=TIMEOUT)
        for password in ("bruce", "wrong"):
            credentials = {"username": "bruce", "password": password}
            tokens = requests.post(f"{system.users}/api/login/", json=credentials, timeout=TIMEOUT).json()
            if authorization := tokens.get("Authorized"):
                headers = {"Authorization": authorization}
                url = f"{system.thoughts}/api/me/thoughts/"
                requests.post(url, json={"text": "a"}, headers=headers, timeout=TIMEOUT)
                requests.delete(f"{system.users}/api/sessions/", headers=headers, timeout=TIMEOUT)


def test_every_panel_shows_data(own: System, query: Query) -> None:
    use(own, 4)
    panels = [panel for file in FOLDER.glob("*.json") for panel in json.loads(file.read_text())["panels"]]
    expressions = [
        target["expr"] for panel in panels for target in panel["targets"] if panel["title"] not in WITHOUT_DATA
    ]
    assert within(TIMEOUT, lambda: all(map(query, expressions))), [each for each in expressions if not query(each)]


def test_outage_triggers_the_right_alerts(own: System, query: Query) -> None:
    def alerts() -> set[str]:
        return {each["metric"]["alertname"] for each in query('ALERTS{alertstate="firing"}')}

    # On a busy machine, a scrape may take longer than a second. It then fails, and triggers an alert for a second.
    assert within(TIMEOUT, lambda: alerts() == set()), alerts()
    fired: set[str] = set()
    expected = {"NoPods", "PodNotScraped", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"}

    def all_fired() -> bool:
        requests.get(f"{own.web}/search", params={"search": "a"}, timeout=TIMEOUT)
        fired.update(alerts())
        return fired >= expected

    with outage(own, "thoughts_api"):
        within(TIMEOUT, all_fired)
    assert fired == expected
    errors = query("job:http_request_errors:ratio_rate5m > 0.01")
    assert {each["metric"]["job"] for each in errors} == {"web"}
