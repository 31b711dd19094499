"""Tests of the production overlay. The commands of docs/operations.md deploy it, with an external PostgreSQL."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Page, expect

from k8s.tests.cluster.conftest import own_namespace
from tools import cluster
from tools.kubectl import NAMESPACE as DEVELOPMENT
from tools.kubectl import Kubectl
from tools.local import ROOT
from tools.projects import SERVICES, WITH_DATABASE

NAMESPACE, OUTSIDE = "thoughts-e2e-production", "thoughts-e2e-outside"
DOMAIN = "thoughts-e2e.localhost"
WEB, THOUGHTS, USERS = (f"https://{name}.{DOMAIN}" for name in ("frontend", "thoughts", "users"))
COMMANDS = re.search(r"No Secret is in git.*?```sh\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
CREATE_KEY, LOAD_KEYS = (
    re.search(pattern, (ROOT / "docs" / "operations.md").read_text(), re.DOTALL | re.MULTILINE)
    for pattern in (r"^ +(\(umask.*? next\.pem 2048\))$", r"In a cluster, restarting.*?```sh\n(.*?)```")
)
SET_DOMAIN = re.search(r"git grep .*?your\.domain/g'", (ROOT / "docs" / "operations.md").read_text())
ADDRESSES = {name: (name, 80) for name in cluster.IMAGES} | {"postgres": (f"postgres.{OUTSIDE}.svc", 5432)}
# The connections that each service needs. All APIs except users-api load the public keys from users-api.
NEEDED = {project.service: {"users-api", "postgres"} - {project.service} for project in WITH_DATABASE}
NEEDED |= {"web": {"users-api", "thoughts-api"}}
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], sys.argv[2]), timeout=2)
except OSError:
    print("refused")
"""
POSTGRES = """
apiVersion: v1
kind: Pod
metadata: {name: postgres, labels: {name: postgres}}
spec:
  automountServiceAccountToken: false
  containers:
    - name: postgres
      image: postgres:17
      env: [{name: POSTGRES_PASSWORD, value: outside}]
      readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1, -U, postgres]}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: postgres}
spec: {selector: {name: postgres}, ports: [{port: 5432}]}
"""


def certificate(name: str, host: str, folder: Path) -> None:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="module")
def postgres(kubectl: Kubectl) -> Iterator[str]:
    """Run PostgreSQL in another namespace, with a database for each API.

    Yield the URL of the server, without the name of a database.
    """
    with own_namespace(OUTSIDE) as outside:
        outside("create", "namespace", OUTSIDE)
        outside("apply", "--filename=-", given=POSTGRES)
        outside("wait", "pod/postgres", "--for=condition=Ready", "--timeout=120s")
        for project in WITH_DATABASE:
            outside("exec", "postgres", "--", "createdb", "--username=postgres", str(project.database))
        yield f"postgresql://postgres:outside@postgres.{OUTSIDE}.svc"


def controller(kubectl: Kubectl) -> str:
    """Return the namespace of the ingress controller."""
    pods = kubectl.json("get", "pods", "--all-namespaces")["items"]
    return next(
        pod["metadata"]["namespace"]
        for pod in pods
        if any(word in pod["metadata"]["name"] for word in ("traefik", "ingress-nginx-controller"))
    )


@pytest.fixture(scope="module")
def production(
    postgres: str, registry: str, tag: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Kubectl, Path]]:
    """Deploy the production overlay.

    Yield a kubectl that uses the namespace of the overlay, and the folder with the manifests and certificates.
    """
    assert COMMANDS
    assert SET_DOMAIN
    folder = tmp_path_factory.mktemp("production")
    copy = cluster.configured(folder, registry, dict.fromkeys(cluster.IMAGES, tag), "production")
    for file in (copy / "base" / "namespace.yaml", copy / "overlays" / "production" / "kustomization.yaml"):
        file.write_text(re.sub(rf"(name(space)?): {DEVELOPMENT}\b", rf"\1: {NAMESPACE}", file.read_text()))
    policy = copy / "components" / "network-policies" / "ingress-controller.yaml"
    policy.write_text(policy.read_text().replace("[ingress-nginx, traefik]", f"[{controller(Kubectl())}]"))
    for project in SERVICES.values():
        certificate(project.host, f"{project.host}.{DOMAIN}", folder)
    databases = [str(project.database) for project in WITH_DATABASE]
    environment = {f"{name.upper()}_DATABASE_URL": f"{postgres}/{name}" for name in databases}
    shutil.copytree(ROOT / "tools" / "template", folder / "tools" / "template")  # its hosts change too
    commands = f"git init --quiet && git add k8s tools\n{SET_DOMAIN[0]}\n{COMMANDS[1]}"
    commands = commands.replace("\\|", "|").replace("your.domain", DOMAIN)
    commands = commands.replace(f"--namespace={DEVELOPMENT}", f"--namespace={NAMESPACE}")
    with own_namespace(NAMESPACE) as kubectl:
        done = subprocess.run(
            ["sh", "-e", "-c", commands],  # noqa: S607
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        wait(lambda: all(ready(kubectl, name) == 3 for name in cluster.IMAGES))
        yield kubectl, folder


@pytest.fixture
def session(production: tuple[Kubectl, Path], tmp_path: Path) -> Iterator[requests.Session]:
    """Yield an HTTP client that trusts the certificates of the production overlay."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("".join(file.read_text() for file in sorted(production[1].glob("*.crt"))))
    with requests.Session() as session:
        session.trust_env = False  # otherwise the variable REQUESTS_CA_BUNDLE would override `verify`
        session.verify = str(bundle)
        yield session


def ready(kubectl: Kubectl, name: str) -> int:
    """Return the number of ready pods of a Deployment."""
    count: int = kubectl.json("get", "deployment", name)["status"].get("readyReplicas", 0)
    return count


def wait(condition: Callable[[], bool], timeout: float = 180) -> None:
    """Wait until the condition is true. Fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"The condition was still false after {timeout} seconds."
        time.sleep(0.5)


def test_autoscaler_makes_three_pods_and_apply_keeps_them(production: tuple[Kubectl, Path]) -> None:
    kubectl, folder = production
    before = {pod["metadata"]["name"] for pod in kubectl.json("get", "pods")["items"]}
    kubectl("apply", f"--kustomize={folder / 'k8s' / 'overlays' / 'production'}")
    for name in cluster.IMAGES:
        kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
        assert ready(kubectl, name) == 3
    assert {pod["metadata"]["name"] for pod in kubectl.json("get", "pods")["items"]} == before


def test_http_redirects_to_https_with_hsts(session: requests.Session) -> None:
    for url in (WEB, THOUGHTS, USERS):
        http = session.get(url.replace("https", "http"), timeout=10, allow_redirects=False)
        assert http.status_code in (301, 302, 307, 308)
        assert http.headers["Location"].rstrip("/") == url
        https = session.get(url, timeout=10)
        assert https.status_code == 200
        assert https.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"


def test_private_paths_are_404(session: requests.Session) -> None:
    for url in (WEB, THOUGHTS, USERS):
        for path in ("healthz", "readyz", "metrics"):
            assert session.get(f"{url}/{path}", timeout=10).status_code == 404
    for path in ("/admin/", "/admin/login/", "/admin/auth/user/"):
        assert session.get(f"{USERS}{path}", timeout=10).status_code == 404


def test_network_policies_allow_only_needed_connections(
    production: tuple[Kubectl, Path],
) -> None:
    kubectl, _ = production

    def reached(source: str, host: str, port: int) -> bool:
        return not kubectl("exec", f"deployment/{source}", "--", "python", "-c", CONNECT, host, str(port))

    found = {
        source: {target for target, address in ADDRESSES.items() if target != source and reached(source, *address)}
        for source in cluster.IMAGES
    }
    # The cluster of CI does not enforce network policies, so all connections work there.
    assert found in (NEEDED, {source: ADDRESSES.keys() - {source} for source in cluster.IMAGES})


def test_new_admin_creates_a_user_who_writes(
    production: tuple[Kubectl, Path], session: requests.Session, page: Page
) -> None:
    kubectl, _ = production
    create_admin(kubectl, "chief", "a long password")
    with admin(kubectl) as url:
        page.goto(url)
        page.fill("[name=username]", "chief")
        page.fill("[name=password]", "a long password")
        page.click("[type=submit]")
        page.goto(f"{url}users_api/user/add/")
        page.fill("[name=username]", "clarence")
        page.fill("[name=password1]", "another long one")
        page.fill("[name=password2]", "another long one")
        page.click("[name=_save]")
        expect(page.get_by_text("was added successfully")).to_be_visible()

    form = session.get(f"{WEB}/login/", timeout=10)
    data = {"username": "clarence", "password": "another long one", "csrfmiddlewaretoken": csrf(form.text)}
    home = session.post(f"{WEB}/login/", data=data, headers={"Referer": f"{WEB}/login/"}, timeout=10)
    assert home.status_code == 200
    assert all(cookie.secure for cookie in session.cookies)
    data = {"text": "Written over https.", "csrfmiddlewaretoken": csrf(home.text)}
    assert session.post(f"{WEB}/thoughts/new", data=data, headers={"Referer": home.url}, timeout=10).status_code == 200
    found = session.get(f"{THOUGHTS}/api/thoughts/?search=OVER+HTTPS", timeout=10).json()
    assert [(each["username"], each["text"]) for each in found] == [("clarence", "Written over https.")]


def test_signing_key_is_added_with_the_commands_of_the_docs(
    production: tuple[Kubectl, Path], session: requests.Session
) -> None:
    kubectl, folder = production
    assert CREATE_KEY
    assert LOAD_KEYS
    commands = LOAD_KEYS[1].replace(f"--namespace={DEVELOPMENT}", " ".join(kubectl.command[1:]))

    def published() -> list[str]:
        keys = session.get(f"{USERS}/.well-known/jwks.json", timeout=10).json()["keys"]
        return [key["kid"] for key in keys]

    [before] = published()
    subprocess.run(["sh", "-e", "-c", CREATE_KEY[1]], cwd=folder / "keys", check=True)  # noqa: S607
    subprocess.run(["sh", "-e", "-c", commands], cwd=folder, check=True)  # noqa: S607
    wait(lambda: len(published()) == 2, timeout=30)  # old pods still answer for some seconds
    assert before in published()


def csrf(body: str) -> str:
    """Return the CSRF token of a form in a page."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', body)
    assert found
    return found[1]


def create_admin(kubectl: Kubectl, name: str, password: str) -> None:
    """Create a superuser with the command of docs/operations.md.

    The command runs on a terminal, and this function answers its questions there.
    """
    printed = b""
    answers = {b"Username": name, b"Email": "", b"Password:": password, b"Password (again):": password}
    process_id, terminal = pty.fork()
    if process_id == 0:
        manage = ("--", "python", "users_api/manage.py", "createsuperuser")
        command = [*kubectl.command, "exec", "--stdin", "--tty", "deployment/users-api", *manage]
        os.execvp(command[0], command)  # noqa: S606
    with contextlib.suppress(OSError), os.fdopen(terminal, "r+b", buffering=0) as stream:  # reading fails at the end
        while chunk := stream.read(1024):
            printed += chunk
            for question in list(answers):
                if question in printed:
                    printed = printed.partition(question)[2]
                    stream.write(f"{answers.pop(question)}\n".encode())
    _, status = os.waitpid(process_id, 0)
    assert status == 0, printed.decode()


@contextlib.contextmanager
def admin(kubectl: Kubectl) -> Iterator[str]:
    """Forward a local port to users_api, and yield the URL of the admin on that port."""
    command = [*kubectl.command, "port-forward", "service/users-api", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            port = urlsplit(f"//{process.stdout.readline().split()[2]}").port
            yield f"http://localhost:{port}/admin/"
        finally:
            process.terminate()
