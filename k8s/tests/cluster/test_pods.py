"""Tests of the running pods.

They check the privileges of the pods, and that data survives the deletion of a pod.
"""

import functools

import pytest
import requests

from k8s.tests.cluster.conftest import wait, wait_for_status
from tools.kubectl import Kubectl, KubectlError, is_ready
from tools.projects import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_container_is_unprivileged_and_can_write_only_to_tmp(kubectl: Kubectl, service: str) -> None:
    def execute(command: str) -> str:
        return kubectl("exec", f"deployment/{service}", "--", "sh", "-c", command)

    assert execute("id -u").strip() == "10001"
    assert execute("touch /tmp/file && rm /tmp/file && echo written").strip() == "written"
    for folder in ("/", "/venv", "/static", "/etc"):
        with pytest.raises(KubectlError):
            execute(f"touch {folder}/file")
    with pytest.raises(KubectlError):
        execute("ls /var/run/secrets/kubernetes.io")
    with pytest.raises(KubectlError):
        execute("command -v gcc || command -v uv")


@pytest.mark.parametrize("service", SERVICES)
def test_image_contains_the_bytecode_of_the_service(kubectl: Kubectl, service: str) -> None:
    code = "import os, common.http.wsgi as module; print(os.path.exists(module.__cached__))"
    assert kubectl("exec", f"deployment/{service}", "--", "python", "-c", code).strip() == "True"


def ready(kubectl: Kubectl, database: str) -> bool:
    """Return whether a pod of this database exists and is ready.

    Use this function instead of `kubectl wait`, which fails if the StatefulSet has not yet created the new pod.
    """
    return any(map(is_ready, kubectl.json("get", "pods", f"--selector=app.kubernetes.io/name={database}")["items"]))


def log_in() -> requests.Response:
    """Log in as bruce."""
    credentials = {"username": "bruce", "password": "bruce"}
    return requests.post("http://users.localhost/api/login/", credentials, timeout=10)


def test_data_survives_the_deletion_of_the_database_pods(kubectl: Kubectl) -> None:
    token = {"Authorization": log_in().json()["Authorized"]}
    mine = "http://thoughts.localhost/api/me/thoughts/"
    written = requests.post(mine, data={"text": "Kept."}, headers=token, timeout=10).json()

    for database in ("users-postgres", "thoughts-postgres"):
        kubectl("delete", "pod", f"{database}-0", "--wait=true")
        wait(functools.partial(ready, kubectl, database))

    thought = f"http://thoughts.localhost/api/thoughts/{written['id']}/"
    wait_for_status(thought)
    assert requests.get(thought, timeout=10).json() == written
    assert requests.delete(f"{mine}{written['id']}/", headers=token, timeout=10).status_code == 204
    wait(lambda: log_in().status_code == 200, timeout=60)
