"""The Grafana dashboards are up to date, and Prometheus can parse their queries."""

import json
import re
from pathlib import Path

import yaml

from tools import kustomize
from tools.dashboards import dashboards
from tools.kubectl import NAMESPACE
from tools.local import ROOT


def test_files_are_up_to_date() -> None:
    outdated = [file for file, content in dashboards().items() if not file.exists() or file.read_text() != content]
    assert outdated == [], "Run: python -m tools.dashboards"


def test_queries_read_only_metrics_of_our_namespace() -> None:
    panels = [panel for content in dashboards().values() for panel in json.loads(content)["panels"]]
    for query in [target["expr"] for panel in panels for target in panel["targets"]]:
        limited = rf'[\w:]+\{{namespace="{NAMESPACE}"[^}}]*\}}(\[\w+\])?'
        rest, count = re.subn(limited, "", re.sub(r"by \(.*?\)", "", query))
        assert count
        # All remaining words must be names of functions.
        assert re.findall(r"\b[A-Za-z_]\w*\b(?! *\()", rest) == [], query


def test_observability_component_contains_every_dashboard_and_the_rules(tmp_path: Path) -> None:
    folder = ROOT / "k8s" / "components" / "observability"
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "components": [f"{'../' * (len(tmp_path.parts) - 1)}{folder.relative_to('/')}"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content))
    objects = kustomize.render(tmp_path)
    assert {each["kind"] for each in objects} == {"ConfigMap", "PodMonitor", "PrometheusRule"}
    # kustomize adds a hash to the name of a ConfigMap.
    maps = {each["metadata"]["name"].partition("-")[0]: each for each in objects if each["kind"] == "ConfigMap"}
    assert maps.keys() == {"alerts", "dashboards"}
    alerts, dashboards = maps["alerts"], maps["dashboards"]
    files = {file.name for file in (folder / "dashboards").iterdir()}
    assert dashboards["data"].keys() == files
    assert all(json.loads(text)["panels"] for text in dashboards["data"].values())
    assert dashboards["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert "labels" not in alerts["metadata"]  # otherwise, Grafana's sidecar would load the alerts as a dashboard
