"""Test of a service that `make service` creates, deployed to the cluster."""

import json
import subprocess
import sys
from pathlib import Path

import requests
import yaml

from k8s.tests.cluster.conftest import own_namespace, wait_for_status
from k8s.tests.manifests.objects import Object
from tools import cluster, scratch
from tools.kubectl import NAMESPACE as DEVELOPMENT

NAMESPACE = "thoughts-e2e-service"
# The new service loads the public keys from http://users-api. In its namespace, this name resolves to the users-api of
# the local overlay.
USERS_API = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "users-api"},
    "spec": {"type": "ExternalName", "externalName": f"users-api.{DEVELOPMENT}.svc.cluster.local"},
}
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def printed(tree: Path, *command: str) -> str:
    """Run a Python module in a copy of the repository, and return its output."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=tree, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def of_the_service(objects: list[Object]) -> list[Object]:
    """Return the objects of the new service and its database, without a namespace."""
    found = [each for each in objects if each["metadata"]["name"].startswith("invoices-")]
    for each in found:
        del each["metadata"]["namespace"]
    return found


def test_new_service_answers_a_user_through_the_ingress(registry: str, tag: str, tmp_path: Path) -> None:
    tree = scratch.clone(tmp_path / "clone")
    subprocess.run(["make", "service", "name=invoices"], cwd=tree, capture_output=True, check=True)
    image = f"{registry}/invoices-api:{tag}"
    cluster.build(cluster.docker(), image, "invoices_api", tree=tree)
    cluster.push_image(cluster.docker(), image)
    manifests = printed(tree, "tools.kustomize", "k8s/overlays/local")
    manifests = manifests.replace("image: invoices-api:v1", f"image: {image}")
    secrets = json.loads(printed(tree, "tools.cluster_secrets"))["items"]
    objects = [USERS_API, *of_the_service(secrets), *of_the_service(list(yaml.safe_load_all(manifests)))]

    with own_namespace(NAMESPACE) as kubectl:
        kubectl("create", "namespace", NAMESPACE)
        kubectl("label", "namespace", NAMESPACE, RESTRICTED)
        kubectl("apply", "--filename=-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        kubectl("rollout", "status", "deployment/invoices-api", "--timeout=240s")

        login = {"username": "bruce", "password": "bruce"}
        users = requests.post("http://users.localhost/api/login/", json=login, timeout=10).json()
        token = {"Authorization": users["Authorized"]}
        url = "http://invoices.localhost/api/invoices/"
        wait_for_status(url, 401)
        written = requests.post(url, json={"text": "Two cups of tea."}, headers=token, timeout=10)
        assert written.status_code == 201, written.text
        assert requests.get(url, headers=token, timeout=10).json()["results"][0] == written.json()
