"""Tests that the manifests refer to Secrets but contain none."""

import json
import re
from pathlib import Path

import pytest

from k8s.tests.manifests.objects import K8S, Object, Overlay, name_of, strings
from tools import cluster_secrets, production_secrets
from tools.projects import SERVICES, WITH_DATABASE

SECRET = re.compile(r"PASSWORD|SECRET|DATABASE_(REPLICA_)?URL")
# Matches a PEM block, a password in a URL, and a long random string that is not the digest of an image.
LOOKS_SECRET = re.compile(
    r"-----BEGIN|://[^/\s:@]+:[^/\s@]+@|(?<![A-Za-z0-9+/_.-])(?<!@sha256:)(?=[A-Za-z0-9+/_-]*\d)[A-Za-z0-9+/_-]{32,}"
)


def test_rendered_manifests_contain_no_secret(overlay: Overlay) -> None:
    assert not overlay.of_kind("Secret")
    for each in overlay.objects:
        for path, text in strings(each):
            assert not LOOKS_SECRET.search(text), path


def test_files_contain_no_secret() -> None:
    files = [path for path in K8S.rglob("*") if path.suffix in (".yaml", ".env")]
    assert files
    for file in files:
        assert not LOOKS_SECRET.search(file.read_text()), file


@pytest.mark.parametrize(
    "text", ["-----BEGIN PRIVATE KEY-----", "postgresql://users:hunter2@db/users", "rWm3vTq9Zk1xYc7bNp5sLd2fGh8jQe4u"]
)
def test_pattern_finds_secrets(text: str) -> None:
    assert LOOKS_SECRET.search(f"value: {text}")


def test_secret_variables_come_from_a_secret(overlay: Overlay) -> None:
    for name, container in overlay.containers:
        for variable, value in overlay.environment(container).items():
            if value == "unused" and name.endswith(("/rotate-keys", "/flush-expired")):
                continue
            assert isinstance(value, dict) == bool(SECRET.search(variable)), f"{variable} of {name}"


def test_only_servers_and_migrations_of_users_api_have_its_secret_key(overlay: Overlay) -> None:
    key = {"name": "users-api", "key": "SECRET_KEY"}
    found = {name for name, container in overlay.containers if key in overlay.environment(container).values()}
    assert {name.rpartition("/")[2] for name in found} == {"server", "migrate"}


def test_cluster_secrets_creates_every_secret_of_the_local_overlay(
    local: Overlay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_secrets, "FOLDER", tmp_path)
    printed = cluster_secrets.as_json()
    assert cluster_secrets.as_json() == printed  # the second call returns the same Secrets as the first
    secrets: list[Object] = json.loads(printed)["items"]
    made = {name_of(secret): secret["stringData"] for secret in secrets}
    assert made.keys() == {name for name, _ in local.secrets()}
    for name, key in local.secrets():
        assert made[name] if key == "*" else made[name][key]


def test_production_secrets_creates_every_secret_of_production(
    production: Overlay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project in SERVICES.values():
        for suffix in ("crt", "key"):
            (tmp_path / f"{project.host}.{suffix}").write_text("PEM")
        if project.database:
            monkeypatch.setenv(f"{project.database.upper()}_DATABASE_URL", "postgresql://a-host/a")
    secrets: list[Object] = production_secrets.manifests(tmp_path)
    made = {name_of(secret): secret for secret in secrets}
    for name, key in production.secrets():
        assert made[name]["stringData"] if key == "*" else made[name]["stringData"][key]
    for ingress in production.of_kind("Ingress"):
        for tls in ingress["spec"]["tls"]:
            assert made[tls["secretName"]]["type"] == "kubernetes.io/tls"


def test_missing_database_and_certificate_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for project in WITH_DATABASE:
        monkeypatch.delenv(f"{str(project.database).upper()}_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit, match="_DATABASE_URL is not set"):
        production_secrets.manifests(tmp_path)
    for project in WITH_DATABASE:
        monkeypatch.setenv(f"{str(project.database).upper()}_DATABASE_URL", "postgresql://a-host/a")
    with pytest.raises(SystemExit, match=r"certificate of .* is missing: .*\.crt"):
        production_secrets.manifests(tmp_path)
