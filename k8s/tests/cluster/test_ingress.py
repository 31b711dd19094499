"""Tests of the paths that the ingress must expose, and of those that it must not."""

import json
from collections.abc import Iterator

import pytest
import requests

from k8s.tests.cluster import conftest
from tools.kubectl import Kubectl
from tools.projects import SERVICES
from tools.system import within

INGRESS = "http://127.0.0.1"
HOSTS = {
    service: [f"{project.host}.example.local", f"{project.host}.localhost"] for service, project in SERVICES.items()
}
PUBLIC = [
    ("users.example.local", "/"),
    ("users.example.local", "/schema/"),
    ("users.example.local", "/.well-known/jwks.json"),
    ("thoughts.example.local", "/"),
    ("thoughts.example.local", "/api/thoughts"),
    ("frontend.example.local", "/search?search=tea"),
    ("users.localhost", "/admin/login/"),
]
CLASSES = ["default", "nginx"]


@pytest.fixture(scope="module", autouse=True)
def nginx(kubectl: Kubectl) -> Iterator[None]:
    """Copy all Ingresses to the ingress class nginx.

    In the copies, each host name begins with `nginx.`.
    """
    ingresses = kubectl.json("get", "ingresses")["items"]
    for ingress in ingresses:
        ingress["metadata"] = {"name": f"nginx-{ingress['metadata']['name']}", "labels": {"test": "nginx"}}
        ingress["spec"]["ingressClassName"] = "nginx"
        ingress["spec"]["rules"][0]["host"] = f"nginx.{ingress['spec']['rules'][0]['host']}"
        del ingress["status"]
    kubectl("apply", "--filename=-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": ingresses}))
    # The ingress controller may find the Ingresses one after another. For an Ingress that it has not found yet, it
    # answers 404 or 503.
    within(60, lambda: all(get("nginx", host, path).status_code in (200, 400) for host, path in PUBLIC))
    yield
    kubectl("delete", "ingress", "--selector=test=nginx")


def get(ingress_class: str, host: str, path: str, **headers: str) -> requests.Response:
    """Send a GET request for a host through the controller of an ingress class."""
    name = host if ingress_class == "default" else f"nginx.{host}"
    return requests.get(f"{INGRESS}{path}", headers={"Host": name, **headers}, timeout=10, allow_redirects=False)


@pytest.mark.parametrize("ingress_class", CLASSES)
@pytest.mark.parametrize(("host", "path"), PUBLIC)
def test_public_paths_answer(ingress_class: str, host: str, path: str) -> None:
    status = get(ingress_class, host, path).status_code
    # Django answers 400, because ALLOWED_HOSTS does not contain names such as nginx.users.example.local.
    assert status == (200 if ingress_class == "default" or host.endswith(".localhost") else 400)


@pytest.mark.parametrize("ingress_class", CLASSES)
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/metrics/", "//metrics", "/%6detrics"])
def test_probes_and_metrics_are_not_public(ingress_class: str, path: str) -> None:
    for hosts in HOSTS.values():
        for host in hosts:
            answer = get(ingress_class, host, path, **{"X-Forwarded-For": ""})
            assert answer.status_code in (400, 404), (host, answer.text)
            assert "http_request_duration" not in answer.text
            assert '"ok"' not in answer.text


@pytest.mark.parametrize("ingress_class", CLASSES)
@pytest.mark.parametrize(
    "path", ["/admin", "/admin/", "/admin/login/", "/admin/users_api/user/", "/api/../admin/", "//admin/", "/%61dmin/"]
)
def test_admin_is_not_public(ingress_class: str, path: str) -> None:
    answer = get(ingress_class, "users.example.local", path)
    assert answer.status_code in (400, 404)
    assert "csrf" not in answer.text


def test_probes_and_metrics_are_on_the_management_port(kubectl: Kubectl) -> None:
    for service in HOSTS:
        for path, expected in [("healthz", '"ok"'), ("readyz", '"ok"'), ("metrics", "http_request_duration")]:
            assert expected in conftest.manage(kubectl, service, path)
