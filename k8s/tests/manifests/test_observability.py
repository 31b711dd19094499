"""Tests of the overlay that adds Prometheus, Grafana and Jaeger to the local one."""

import copy
import json
import re
import subprocess
from pathlib import Path

import yaml

from k8s.tests.manifests import test_pods, test_schema
from k8s.tests.manifests.objects import Object, Overlay, name_of, pod, template
from k8s.tests.manifests.test_alerts import RULES
from tools.projects import SERVICES
from tools.prometheus import promtool

PROGRAMS = ["prometheus", "grafana", "jaeger"]
TRACING = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_TRACES_SAMPLER_ARG": "1"}
SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "9000", "prometheus.io/path": "/metrics"}


def by_name(overlay: Overlay) -> dict[tuple[str, str], Object]:
    """Return the objects of an overlay by kind and name."""
    return {(each["kind"], name_of(each)): each for each in overlay.objects}


def config_map(overlay: Overlay, name: str) -> dict[str, str]:
    """Return the data of the ConfigMap whose name is `name` followed by a hash."""
    [found] = [each for each in overlay.of_kind("ConfigMap") if re.fullmatch(f"{name}-[a-z0-9]{{10}}", name_of(each))]
    data: dict[str, str] = found["data"]
    return data


def test_objects_meet_the_rules_for_all_pods(observed: Overlay) -> None:
    test_schema.test_every_object_matches_its_schema(observed)
    test_schema.test_objects_are_unique_and_in_the_namespace(observed)
    test_pods.test_every_pod_meets_the_restricted_profile(observed)
    test_pods.test_every_server_has_probes(observed)
    test_pods.test_every_container_has_requests_and_limits(observed)
    for name, container in observed.containers:
        is_service = name in [f"{service}/server" for service in SERVICES]
        assert container["securityContext"]["readOnlyRootFilesystem"] is not is_service, name


def test_overlay_adds_only_tracing_and_annotations_to_the_services(observed: Overlay, local: Overlay) -> None:
    expected = copy.deepcopy(by_name(local))
    for service in SERVICES:
        pods = template(expected["Deployment", service])
        pods["metadata"]["annotations"] = SCRAPED
        [container] = pods["spec"]["containers"]
        added = [{"name": name, "value": value} for name, value in TRACING.items()]
        container["env"] = added + container["env"]
    found = by_name(observed)
    assert {key: found[key] for key in expected} == expected
    assert {name for kind, name in found.keys() - expected.keys() if kind == "Deployment"} == {*PROGRAMS}


def test_only_prometheus_has_a_token_which_may_only_read_pods(observed: Overlay) -> None:
    assert [name_of(each) for each in observed.workloads if pod(each)["automountServiceAccountToken"]] == ["prometheus"]
    [role] = observed.of_kind("Role")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


def test_images_have_full_versions(observed: Overlay) -> None:
    images = {each["image"] for name in PROGRAMS for each in pod(observed.get("Deployment", name))["containers"]}
    assert all(re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", image) for image in images)
    init = pod(observed.get("Deployment", "prometheus"))["initContainers"]
    assert {each["image"] for each in init} <= images


def test_jaeger_service_forwards_the_port_for_traces(observed: Overlay) -> None:
    service = observed.get("Service", "jaeger")
    ports = {each["port"]: each["targetPort"] for each in service["spec"]["ports"]}
    [container] = pod(observed.get("Deployment", "jaeger"))["containers"]
    containers = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert containers[ports[4318]] == 4318


def test_prometheus_loads_the_rules_of_the_observability_component(observed: Overlay, tmp_path: Path) -> None:
    config = config_map(observed, "prometheus")["prometheus.yaml"]
    (tmp_path / "alerts.yaml").write_text(config_map(observed, "alerts")["alerts.yaml"])
    [init] = pod(observed.get("Deployment", "prometheus"))["initContainers"]
    command = [word.replace("/alerts/", f"{tmp_path}/").replace("/rules/", f"{tmp_path}/") for word in init["command"]]
    subprocess.run(command, check=True)
    assert yaml.safe_load((tmp_path / "rules.yaml").read_text()) == RULES

    parsed = yaml.safe_load(config.replace("/rules/", f"{tmp_path}/"))
    [job] = parsed["scrape_configs"]
    del job["kubernetes_sd_configs"]  # Debian 12's promtool does not support this; the cluster test covers it
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(parsed))
    check = [promtool(), "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_prometheus_and_every_dashboard(observed: Overlay) -> None:
    provisioning = config_map(observed, "grafana-provisioning")
    [source] = yaml.safe_load(provisioning["datasources.yaml"])["datasources"]
    assert source["url"] == "http://prometheus"
    assert observed.get("Service", "prometheus")["spec"]["ports"][0]["port"] == 80
    [trace] = source["jsonData"]["exemplarTraceIdDestinations"]
    [rule] = observed.get("Ingress", "jaeger")["spec"]["rules"]
    assert trace["url"] == f"http://{rule['host']}/trace/$${{__value.raw}}"

    [container] = pod(observed.get("Deployment", "grafana"))["containers"]
    mounted = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    [provider] = yaml.safe_load(provisioning["dashboards.yaml"])["providers"]
    assert mounted[provider["options"]["path"]] == "dashboards"
    dashboards = config_map(observed, "dashboards")
    home = config_map(observed, "grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert json.loads(dashboards[home.removeprefix("/dashboards/")])["title"] == "Thoughts: system"
