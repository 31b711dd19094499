"""Tests that the Kubernetes API server would accept the manifests."""

import re
from collections import Counter

import kubernetes_validate
import pytest
import yaml

from k8s.tests.manifests.objects import K8S, Overlay, name_of, strings
from tools.kubectl import NAMESPACE
from tools.projects import SERVICES

VERSION = "1.34"


def test_every_object_matches_its_schema(overlay: Overlay) -> None:
    for each in overlay.objects:
        assert kubernetes_validate.validate(each, VERSION, strict=True) == VERSION


def test_unknown_field_does_not_match_the_schema(local: Overlay) -> None:
    deployment = local.get("Deployment", "web")
    spec = deployment["spec"]
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate({**deployment, "spec": {**spec, "replica": 1}}, VERSION, strict=True)


def test_objects_are_unique_and_in_the_namespace(overlay: Overlay) -> None:
    names = Counter((each["kind"], name_of(each)) for each in overlay.objects)
    assert set(names.values()) == {1}
    for each in overlay.objects:
        assert each["metadata"].get("namespace") == (None if each["kind"] == "Namespace" else NAMESPACE)


def test_both_overlays_include_the_base(local: Overlay, production: Overlay) -> None:
    def names(overlay: Overlay) -> set[tuple[str, str]]:
        return {(each["kind"], re.sub("-[a-z0-9]{10}$", "", name_of(each))) for each in overlay.objects}

    common = names(local) & names(production)
    for name, project in SERVICES.items():
        assert {(kind, name) for kind in ("ConfigMap", "Deployment", "Ingress", "Service", "ServiceAccount")} <= common
        assert not project.database or any(kind == "Job" and job.startswith(f"{name}-migrate-") for kind, job in common)
    assert ("Namespace", NAMESPACE) in common


def test_no_patch_uses_a_list_index() -> None:
    files = list(K8S.rglob("*.yaml"))
    assert files
    for file in files:
        for path, text in strings(list(yaml.safe_load_all(file.read_text()))):
            assert not path.endswith("[].op"), f"a JSON patch in {file}"
            assert not (path.endswith(".patch") and isinstance(yaml.safe_load(text), list)), f"a JSON patch in {file}"
            assert not ("fieldPath" in path and re.search(r"\.\d+(\.|$)", text)), f"{text} in {file}"
