"""Tests of the production overlay.

The commands in docs/production.md deploy the overlay, with a PostgreSQL server in another namespace.
"""

import base64
import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Page, expect

from common.tokens.keys import MAX_AGE
from k8s.tests.cluster.conftest import own_namespace, wait, wait_for_status
from tools import cluster, postgres, scratch
from tools.e2e_cluster import show_state
from tools.kubectl import NAMESPACE as DEVELOPMENT
from tools.kubectl import Kubectl, KubectlError
from tools.local import ROOT
from tools.projects import SERVICES, WITH_DATABASE

NAMESPACE, OUTSIDE = "thoughts-e2e-production", "thoughts-e2e-outside"
DOMAIN = "thoughts-e2e.localhost"
WEB, THOUGHTS, USERS = (f"https://{name}.{DOMAIN}" for name in ("frontend", "thoughts", "users"))
DOCS = (ROOT / "docs" / "operations.md").read_text()
LEAKED_KEY = DOCS.partition("If the signing key has leaked")[2].partition("```sh\n")[2].partition("```")[0]
RESTORE = DOCS.partition("To restore the newest dump")[2].partition("```sh\n")[2].partition("```")[0]
SERVERS = "--selector=app.kubernetes.io/name=users-api,app.kubernetes.io/component=server"
COUNT_KEYS = """
import json, urllib.request
request = urllib.request.Request("http://localhost:8000/.well-known/jwks.json", headers={"X-Forwarded-Proto": "https"})
print(len(json.load(urllib.request.urlopen(request))["keys"]))
"""
ADMINISTRATOR = "exec --stdin --tty deployment/users-api -- python users_api/manage.py createsuperuser"
ADDRESSES = {name: (name, 80) for name in cluster.IMAGES} | {"postgres": (f"postgres.{OUTSIDE}.svc", 5432)}
# The servers that each service connects to. All APIs except users-api load the public keys from users-api.
NEEDED = {project.service: {"users-api", "postgres"} - {project.service} for project in WITH_DATABASE}
NEEDED |= {"web": {"users-api", "thoughts-api"}}
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], sys.argv[2]), timeout=5)
except OSError:
    print("refused")
"""
POSTGRES = """
apiVersion: v1
kind: Pod
metadata: {name: postgres, labels: {name: postgres}}
spec:
  automountServiceAccountToken: false
  securityContext: {fsGroup: 999}
  containers:
    - name: postgres
      image: postgres:17
      args: [-c, ssl=on, -c, ssl_cert_file=/tls/tls.crt, -c, ssl_key_file=/tls/tls.key]
      env: [{name: POSTGRES_PASSWORD, value: outside}]
      readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1, -U, postgres]}, periodSeconds: 1}
      volumeMounts: [{name: tls, mountPath: /tls}]
  volumes: [{name: tls, secret: {secretName: tls, defaultMode: 0440}}]
---
apiVersion: v1
kind: Service
metadata: {name: postgres}
spec: {selector: {name: postgres}, ports: [{port: 5432}]}
"""
COUNT = """
SELECT table_name, (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM ' || table_name, true, true, '')))[1]
FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1
"""
WRITE = """
INSERT INTO thoughts_api_thought (username, text, folded, timestamp)
SELECT 'clarence', 'Thought ' || n, 'thought ' || n, now() FROM generate_series(1, 20000) n
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
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """Yield a kubectl for another namespace, in which PostgreSQL runs with TLS."""
    folder = tmp_path_factory.mktemp("postgres")
    certificate("postgres", f"postgres.{OUTSIDE}.svc", folder)
    with own_namespace(OUTSIDE) as outside:
        outside("create", "namespace", OUTSIDE)
        files = (f"--{kind}={folder / 'postgres'}.{suffix}" for kind, suffix in (("cert", "crt"), ("key", "key")))
        outside("create", "secret", "tls", "tls", *files)
        wait(lambda: bool(outside("get", "serviceaccount", "default", "--ignore-not-found")))  # the pod needs it
        outside("apply", "--filename=-", given=POSTGRES)
        outside("wait", "pod/postgres", "--for=condition=Ready", "--timeout=120s")
        shutil.copy(folder / "postgres.crt", folder / "ca.crt")  # self-signed
        yield outside


def query(outside: Kubectl, sql: str, database: str = "postgres") -> str:
    """Run SQL as the superuser of PostgreSQL, and return the result."""
    psql = ("psql", "--username=postgres", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    return outside("exec", "postgres", "--", *psql, f"--dbname={database}", f"--command={sql}")


def controller(kubectl: Kubectl) -> str:
    """Return the namespace of the ingress controller."""
    pods = kubectl.json("get", "pods", "--all-namespaces")["items"]
    return next(
        pod["metadata"]["namespace"]
        for pod in pods
        if any(word in pod["metadata"]["name"] for word in ("traefik", "ingress-nginx-controller"))
    )


def steps(tree: Path) -> list[str]:
    """Return the ten commands in docs/production.md, one string per step.

    `tree` is a copy of the repository.
    """
    section = (tree / "docs" / "production.md").read_text().partition("## Ten commands\n")[2].partition("\n## ")[0]
    found = [
        textwrap.dedent(block) for block in re.findall(r"^ +```sh\n(.*?)^ +```$", section, re.MULTILINE | re.DOTALL)
    ]
    assert len(found) == 10
    return found


def printed(tree: Path, title: str) -> list[str]:
    """Return the commands in a section of docs/production.md, one string per block.

    Leave out the commands of numbered steps.
    """
    section = (tree / "docs" / "production.md").read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def set_namespace() -> str:
    """Return the command in docs/production.md that changes the namespace."""
    found = re.search(r"`(git grep [^`]*your-namespace[^`]*)`", (ROOT / "docs" / "production.md").read_text())
    assert found
    return found[1].replace("\\|", "|")


@pytest.fixture(scope="module")
def production(
    outside: Kubectl, registry: str, tag: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Kubectl, Path]]:
    """Deploy the production overlay with the commands in docs/production.md.

    Yield a kubectl that uses the overlay's namespace, and the folder with the copy of the repository and certificates.
    """
    tree = scratch.clone(tmp_path_factory.mktemp("production") / "tree")
    for project in SERVICES.values():
        certificate(project.host, f"{project.host}.{DOMAIN}", tree)
    ca = outside.json("get", "secret", "tls")["data"]["tls.crt"]
    (tree / "ca.crt").write_bytes(base64.b64decode(ca))
    release = tree / "k8s" / "components" / "release" / "kustomization.yaml"
    release.write_text(re.sub("newTag: .*", f"newTag: {tag}", release.read_text()))
    overlay = tree / "k8s" / "overlays" / "production" / "kustomization.yaml"
    overlay.write_text(overlay.read_text() + cluster.POSTGRES)
    policy = tree / "k8s" / "components" / "network-policies" / "ingress-controller.yaml"
    policy.write_text(policy.read_text().replace("[ingress-nginx, traefik]", f"[{controller(Kubectl())}]"))

    # Remove the digest, because the base image in the cluster's registry may have another one.
    base = tree / ".github" / "base-images" / "Dockerfile"
    base.write_text(re.sub("@sha256:.*", "", base.read_text()))
    for name in ("user.name", "user.email"):
        subprocess.run(["git", "config", name, "x"], cwd=tree, check=True)

    # All pods of this overlay and of the local one must fit on a test cluster's single node, so request less CPU.
    for file in (tree / "k8s").glob("**/*.yaml"):
        file.write_text(re.sub(r"\bcpu: \d+m$", "cpu: 10m", file.read_text(), flags=re.MULTILINE))

    # psql runs outside the cluster, where the name of the Service does not resolve.
    address = outside.json("get", "service", "postgres")["spec"]["clusterIP"]
    host = f"postgres.{OUTSIDE}.svc"
    parameters = f"hostaddr={address}&sslmode=verify-full&sslrootcert=ca.crt"
    docker = Path(cluster.docker()).parent
    environment = {
        **os.environ,
        "ADMIN_DATABASE_URL": f"postgresql://postgres:outside@{host}/postgres?{parameters}",
        "POSTGRES_HOST": host,
        "PATH": os.pathsep.join(map(str, [docker, os.environ["PATH"], postgres.find() or postgres.install()])),
        "DOCKER_BUILDKIT": "1",  # the default since Docker 23
    }

    def run(commands: str) -> None:
        command = ["sh", "-e", "-c", commands]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=tree, env=environment, check=False, **output)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stdout

    run(set_namespace().replace("your-namespace", NAMESPACE))
    domain, images = steps(tree)[:2]
    run(domain.replace("your.domain", DOMAIN))
    run(images.replace("ghcr.io/acme", f"{registry}/production"))
    with own_namespace(NAMESPACE) as kubectl:
        *deploy, administrator = steps(tree)[2:]
        assert ADMINISTRATOR in administrator
        [commit] = printed(tree, "Ten commands")
        run("\n".join([*deploy, commit]))
        wait(lambda: all(ready(kubectl, name) == 3 for name in cluster.IMAGES))
        yield kubectl, tree


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


def test_autoscaler_starts_three_pods_and_apply_keeps_them(production: tuple[Kubectl, Path]) -> None:
    kubectl, folder = production

    def pods() -> set[str]:
        # Leave out the pods of CronJobs, because a CronJob may start a pod at any time.
        selector = "--selector=app.kubernetes.io/component in (server, migration)"
        return set(kubectl("get", "pods", selector, "--output=name").split())

    before = pods()
    kubectl("apply", f"--kustomize={folder / 'k8s' / 'overlays' / 'production'}")
    for name in cluster.IMAGES:
        kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
        assert ready(kubectl, name) == 3
    assert pods() == before


def test_printed_commands_repeat_the_migrations_and_roll_back_a_release(production: tuple[Kubectl, Path]) -> None:
    kubectl, tree = production

    def run(commands: str) -> None:
        subprocess.run(["sh", "-e", "-c", commands], cwd=tree, check=True)

    def migrations() -> dict[str, str]:
        jobs = kubectl.json("get", "jobs", "--selector=app.kubernetes.io/component=migration")["items"]
        return {job["metadata"]["name"]: job["metadata"]["uid"] for job in jobs}

    def most_pods() -> int:
        most: int = kubectl.json("get", "horizontalpodautoscaler", "web")["spec"]["maxReplicas"]
        return most

    before, apply = migrations(), steps(tree)[7]
    assert len(before) == len(WITH_DATABASE)
    _, delete_jobs = printed(tree, "The next release")
    [roll_back] = printed(tree, "Rolling back a release")

    # In this test, the next release only allows more pods. A new image would restart all pods, which takes minutes.
    autoscaler = tree / "k8s" / "components" / "autoscaling" / "web.yaml"
    tagged = autoscaler.read_text()
    assert "maxReplicas: 10\n" in tagged
    autoscaler.write_text(tagged.replace("maxReplicas: 10\n", "maxReplicas: 11\n"))
    run(f"{delete_jobs}{apply}")
    assert most_pods() == 11
    for name in before:
        kubectl("wait", f"job/{name}", "--for=condition=Complete", "--timeout=120s")
    assert migrations().keys() == before.keys()
    assert not set(migrations().values()) & set(before.values())

    run(roll_back)
    assert most_pods() == 10
    autoscaler.write_text(tagged)


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
    # The cluster in CI does not enforce network policies, so all connections work there.
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
        with page.expect_navigation():  # opening another page would cancel the login
            page.click("[type=submit]")
        page.goto(f"{url}users_api/user/add/")
        page.fill("[name=username]", "clarence")
        page.fill("[name=password1]", "another long one")
        page.fill("[name=password2]", "another long one")
        with page.expect_navigation():
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


def test_signing_key_is_rotated_without_a_logout_and_a_leaked_key_is_refused_within_a_minute(
    production: tuple[Kubectl, Path], session: requests.Session
) -> None:
    kubectl, folder = production
    credentials = {"username": "keeper", "password": "another long one"}
    create_admin(kubectl, *credentials.values())
    form = session.get(f"{WEB}/login/", timeout=10)
    if "csrfmiddlewaretoken" in form.text:
        data = {**credentials, "csrfmiddlewaretoken": csrf(form.text)}
        session.post(f"{WEB}/login/", data=data, headers={"Referer": f"{WEB}/login/"}, timeout=10)

    def log_in() -> dict[str, str]:
        answer = session.post(f"{USERS}/api/login/", data=credentials, timeout=10)
        return {"Authorization": answer.json()["Authorized"]}

    def logged_in() -> bool:
        return session.get(f"{WEB}/account/", timeout=10, allow_redirects=False).status_code == 200

    def status(token: dict[str, str]) -> int:
        return session.get(f"{THOUGHTS}/api/me/thoughts/", headers=token, timeout=10).status_code

    def rotate(*options: str) -> None:
        """Run the CronJob's command with these options.

        Then make the kubelets update the mounted keys at once.
        """
        template = kubectl.json("get", "cronjob", "users-api-rotate-keys")["spec"]["jobTemplate"]
        template["spec"]["template"]["spec"]["containers"][0]["command"].extend(options)
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"generateName": "rotate-"},
            "spec": template["spec"],
        }
        name = kubectl("create", "--filename=-", "--output=name", given=json.dumps(job)).strip()
        kubectl("wait", name, "--for=condition=Complete", "--timeout=120s")
        kubectl("annotate", "pod", SERVERS, f"keys={time.time()}", "--overwrite")

    def published() -> list[int]:
        """Return the number of keys that each pod of users-api publishes."""
        pods = kubectl("get", "pod", SERVERS, "--output=name").split()
        return [int(kubectl("exec", pod, "--", "python", "-c", COUNT_KEYS)) for pod in pods]

    old, stop = log_in(), threading.Event()
    sent: list[tuple[int, int, bool]] = []
    failures: list[tuple[int, int, bool]] = []

    def send() -> None:
        while not stop.is_set():
            found = status(old), status(log_in() if len(sent) % 10 == 0 else old), logged_in()
            sent.append(found)
            if found != (200, 200, True):
                failures.append(found)

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(send)
        try:
            rotate("--now")
            wait(lambda: set(published()) == {2}, timeout=60)
            time.sleep(MAX_AGE + 2)  # by then, thoughts-api and web have loaded the new key
            rotate("--published-for=0")
            wait(lambda: key_id(log_in()) != key_id(old), timeout=60)
            time.sleep(5)
            wait(lambda: len(sent) > 50 or load.done())
        finally:
            stop.set()
        load.result()
    assert not failures
    assert len(sent) > 50

    # Simulate a leaked key. The commands in docs/operations.md invalidate the tokens signed with either key.
    leaked = [old, log_in()]
    commands = LEAKED_KEY.replace(f"--namespace={DEVELOPMENT}", f"--namespace={NAMESPACE}")
    # Until the commands end, the mounted keys may be the old ones.
    changed = accepted = time.monotonic()
    with subprocess.Popen(["sh", "-e", "-c", commands], cwd=folder, stdout=subprocess.DEVNULL) as process:
        while time.monotonic() < accepted + 15:
            if process.poll() is None:
                changed = time.monotonic()
            if any(status(token) == 200 for token in leaked):
                accepted = time.monotonic()
            time.sleep(0.2)
    assert process.returncode == 0
    assert accepted - changed < 60
    assert logged_in()
    assert status(log_in()) == 200


def key_id(header: dict[str, str]) -> str:
    """Return the id of the key that signed a token."""
    first = header["Authorization"].split()[1].split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(first + "=="))["kid"])


def test_dropped_databases_are_restored_with_all_rows(
    production: tuple[Kubectl, Path], outside: Kubectl, session: requests.Session
) -> None:
    kubectl, _ = production
    credentials = {"username": "restorer", "password": "a long password"}
    create_admin(kubectl, *credentials.values())
    query(outside, WRITE, "thoughts")
    services = {project.service: str(project.database) for project in WITH_DATABASE}
    before = {database: query(outside, COUNT, database) for database in services.values()}
    assert "thoughts_api_thought|2000" in before["thoughts"]
    run_jobs(kubectl, [f"{service}-backup" for service in services])
    for database in services.values():
        query(outside, f"DROP DATABASE {database} WITH (FORCE)")
        query(outside, f"CREATE DATABASE {database} OWNER {database}")
    assert not query(outside, COUNT, "thoughts")
    for service in services:
        commands = RESTORE.replace("users-api", service).replace(
            f"--namespace={DEVELOPMENT}", f"--namespace={NAMESPACE}"
        )
        subprocess.run(["sh", "-e", "-c", commands], check=True)
    assert {database: query(outside, COUNT, database) for database in services.values()} == before
    wait(lambda: all(ready(kubectl, name) == 3 for name in services))
    # The search index is restored too.
    search = f"{THOUGHTS}/api/thoughts/?search=thought+19999"
    for url in (search, f"{USERS}/.well-known/jwks.json"):
        wait_for_status(url, session=session)
    found = session.get(search, timeout=10).json()
    assert [each["text"] for each in found] == ["Thought 19999"]
    login = session.post(f"{USERS}/api/login/", data=credentials, timeout=10)
    token = {"Authorization": login.json()["Authorized"]}
    written = session.post(f"{THOUGHTS}/api/me/thoughts/", data={"text": "After."}, headers=token, timeout=10)
    assert written.status_code == 201, written.text


def run_jobs(kubectl: Kubectl, cron_jobs: list[str]) -> None:
    """Create a Job from each CronJob, and wait until all are complete."""
    for name in cron_jobs:
        kubectl("create", "job", f"--from=cronjob/{name}", f"{name}-test")
    try:
        for name in cron_jobs:
            kubectl("wait", f"job/{name}-test", "--for=condition=Complete", "--timeout=120s")
    except KubectlError:
        show_state(kubectl)
        raise


def csrf(body: str) -> str:
    """Return the CSRF token in the form on a page."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', body)
    assert found
    return found[1]


def create_admin(kubectl: Kubectl, name: str, password: str) -> None:
    """Create a superuser with the command in docs/production.md.

    The command runs in a pseudo-terminal, in which this function answers the prompts.
    """
    printed = b""
    answers = {b"Username": name, b"Email": "", b"Password:": password, b"Password (again):": password}
    process_id, terminal = pty.fork()
    if process_id == 0:
        command = [*kubectl.command, *ADMINISTRATOR.split()]
        os.execvp(command[0], command)  # noqa: S606
    # Reading from the terminal raises OSError when the command exits.
    with contextlib.suppress(OSError), os.fdopen(terminal, "r+b", buffering=0) as stream:
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
