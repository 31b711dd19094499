"""Tests of the objects for Flux, Argo CD and External Secrets.

Their schemas come from `crds.py`.
"""

import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from k8s.tests.manifests.crds import validate
from k8s.tests.manifests.objects import K8S, Object, Overlay, name_of, pod
from tools import kustomize
from tools.kubectl import NAMESPACE
from tools.projects import WITH_DATABASE

OVERLAY = "k8s/overlays/production"


def rendered(folder: str) -> list[Object]:
    return kustomize.render(K8S / folder)


@pytest.fixture
def with_external_secrets(tmp_path: Path) -> Overlay:
    """Return the production overlay with the component external-secrets."""
    copy = Path(shutil.copytree(K8S, tmp_path / "k8s", ignore=shutil.ignore_patterns("tests")))
    kustomization = copy / "overlays" / "production" / "kustomization.yaml"
    text = kustomization.read_text()
    kustomization.write_text(text.replace("components:\n", "components:\n  - ../../components/external-secrets\n"))
    return Overlay("production", kustomize.render(kustomization.parent))


@pytest.mark.parametrize(
    ("folder", "kinds"), [("flux", ["GitRepository", "Kustomization"]), ("argo-cd", ["Application"])]
)
def test_objects_match_the_schemas_of_their_projects(folder: str, kinds: list[str]) -> None:
    objects = rendered(folder)
    assert sorted(each["kind"] for each in objects) == kinds
    for each in objects:
        validate(each)


def test_unknown_field_and_wrong_type_are_refused() -> None:
    [application] = rendered("argo-cd")
    changes: list[Object] = [{"sourc": {}}, {"project": 1}]
    for change in changes:
        with pytest.raises(jsonschema.ValidationError):
            validate({**application, "spec": {**application["spec"], **change}})


def test_flux_and_argo_cd_deploy_the_production_overlay_to_its_namespace() -> None:
    site = next(each for each in rendered("flux") if each["kind"] == "Kustomization")["spec"]
    assert site["path"] == f"./{OVERLAY}"
    source = next(each for each in rendered("flux") if each["kind"] == "GitRepository")
    assert site["sourceRef"] == {"kind": "GitRepository", "name": name_of(source)}
    [application] = rendered("argo-cd")
    assert application["spec"]["source"]["path"] == OVERLAY
    assert application["spec"]["destination"]["namespace"] == NAMESPACE


def test_patches_keep_completed_migrations(tmp_path: Path) -> None:
    [application] = rendered("argo-cd")
    site = next(each for each in rendered("flux") if each["kind"] == "Kustomization")
    for patches in (site["spec"]["patches"], application["spec"]["source"]["kustomize"]["patches"]):
        copy = Path(shutil.copytree(K8S, tmp_path / "k8s", ignore=shutil.ignore_patterns("tests"), dirs_exist_ok=True))
        # Apply the patches as Flux and Argo CD do: in a kustomization that contains the overlay.
        overlay = copy / "overlays" / "patched"
        overlay.mkdir(exist_ok=True)
        content = {"resources": ["../production"], "patches": patches}
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(content))
        jobs = [each for each in kustomize.render(overlay) if each["kind"] == "Job"]
        assert jobs
        assert not any("ttlSecondsAfterFinished" in job["spec"] for job in jobs)


def test_gitops_does_not_wait_for_volumes_that_only_jobs_use() -> None:
    site = next(each for each in rendered("flux") if each["kind"] == "Kustomization")["spec"]
    production = Overlay("production", rendered("overlays/production"))
    used_at_once = {
        volume["persistentVolumeClaim"]["claimName"]
        for workload in production.of_kind("Deployment", "StatefulSet")
        for volume in pod(workload).get("volumes", [])
        if "persistentVolumeClaim" in volume
    }
    claims = {name_of(each): each for each in production.of_kind("PersistentVolumeClaim")}
    late = claims.keys() - used_at_once
    assert {f"{project.service}-backups" for project in WITH_DATABASE} <= late
    # https://fluxcd.io/flux/components/kustomize/kustomizations/#health-check-expressions
    [check] = [each for each in site["healthCheckExprs"] if each["kind"] == "PersistentVolumeClaim"]
    assert (check["apiVersion"], check["current"]) == ("v1", "status.phase in ['Pending', 'Bound']")
    # https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
    for name in late:
        assert claims[name]["metadata"]["annotations"]["argocd.argoproj.io/ignore-healthcheck"] == "true", name


def test_flux_waits_for_migrations_and_pods() -> None:
    site = next(each for each in rendered("flux") if each["kind"] == "Kustomization")["spec"]
    assert site["wait"] is True
    assert {each["kind"] for each in site["healthCheckExprs"]} == {"PersistentVolumeClaim"}


def test_external_secrets_provide_every_secret(with_external_secrets: Overlay) -> None:
    externals = with_external_secrets.of_kind("ExternalSecret")
    for each in externals:
        validate(each)
        assert each["metadata"]["namespace"] == NAMESPACE
    made = {each["spec"]["target"]["name"]: {item["secretKey"] for item in each["spec"]["data"]} for each in externals}
    for name, key in with_external_secrets.secrets():
        assert made[name] if key == "*" else key in made[name]
    for ingress in with_external_secrets.of_kind("Ingress"):
        for tls in ingress["spec"]["tls"]:
            assert made[tls["secretName"]] == {"tls.crt", "tls.key"}


def test_rotated_keys_are_not_overwritten(with_external_secrets: Overlay) -> None:
    keys = with_external_secrets.get("ExternalSecret", "users-api-keys")["spec"]
    assert (keys["refreshPolicy"], keys["target"]["creationPolicy"]) == ("CreatedOnce", "Orphan")
