"""Test the settings from the environment, and the error message for invalid ones."""

import ipaddress
import runpy
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from common import settings
from common.settings import Env


@pytest.fixture
def env() -> Env:
    return Env()


def error_line(env: Env) -> str:
    """Return the message that `seal` exits with."""
    with pytest.raises(SystemExit) as ended:
        env.seal()
    assert isinstance(ended.value.code, str)
    assert "\n" not in ended.value.code
    return ended.value.code


def test_settings_load_without_a_writable_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError("No usable temporary directory found")  # as on a read-only root file system

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    runpy.run_path(str(settings.__file__))


def test_valid_environment_is_accepted(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "value")
    assert env.str("NAME") == "value"
    assert env.int("PORT", 8000) == 8000
    env.seal()


def test_all_missing_and_invalid_variables_are_named_on_one_line(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "perhaps")
    monkeypatch.setenv("LIMIT", "ten")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    env.str("SECRET_KEY")
    env.bool("DEBUG")
    env.int("LIMIT")
    env.log_level("LOG_LEVEL")
    line = error_line(env)
    for name in ("SECRET_KEY", "DEBUG", "LIMIT", "LOG_LEVEL"):
        assert name in line


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_connections_are_persistent(env: Env, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://user:p%40ss@db.example:5433/users")
    database = env.database("DATABASE_URL")
    env.seal()
    assert database["ENGINE"] == "common.database.postgresql"
    expected = {"USER": "user", "PASSWORD": "p@ss", "HOST": "db.example", "PORT": 5433, "NAME": "users"}
    assert {name: database[name] for name in expected} == expected
    assert database["CONN_MAX_AGE"] > 0
    assert database["CONN_HEALTH_CHECKS"]
    assert database["OPTIONS"]["connect_timeout"] < 30
    assert database["OPTIONS"]["tcp_user_timeout"] < 30_000
    assert "STATEMENT_TIMEOUT" not in database  # only the WSGI application sets it, not management commands


def test_options_of_a_database_url_are_kept(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/users?sslmode=require")
    assert env.database("DATABASE_URL")["OPTIONS"]["sslmode"] == "require"


def test_replica_has_short_timeouts(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICA", "postgresql://replica.example/thoughts?sslmode=require&options=-c geqo=off")
    database = env.replica("REPLICA")
    env.seal()
    assert (database["HOST"], database["NAME"]) == ("replica.example", "thoughts")
    options = database["OPTIONS"]
    assert options["connect_timeout"] == 2
    assert options["options"] == "-c geqo=off"
    assert options["sslmode"] == "require"
    assert database["STATEMENT_TIMEOUT"] == 1
    # The connection to the replica stays open for the next search.
    assert database["CONN_MAX_AGE"] is None


@pytest.mark.parametrize("value", ["", None])
def test_replica_is_optional(env: Env, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("REPLICA", value)
    assert env.replica("REPLICA", "") == {}
    env.seal()


@pytest.mark.parametrize("url", ["sqlite:///file", "nonsense", "postgresql://u:hunter2@db:port/users"])
def test_invalid_replica_is_named_without_its_password(env: Env, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REPLICA", url)
    env.replica("REPLICA", "")
    line = error_line(env)
    assert "REPLICA" in line
    assert "hunter2" not in line


def test_sqlite_file_is_writable_by_several_processes(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/users.sqlite3")
    database = env.database("DATABASE_URL")
    assert database["NAME"] == "/srv/users.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


def test_sqlite_commits_to_the_disk(
    env: Env, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/users.sqlite3")
    connection = ConnectionHandler({"default": env.database("DATABASE_URL")})["default"]
    with django_db_blocker.unblock(), closing(connection), connection.cursor() as cursor:
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://db/users",
        "postgresql://db:port/users",
        "http://db/",
        "postgresql://[db/users",
        "://",
        "postgresql://user@db",
        "postgresql://user@db/users?pool=true",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite:///file::memory:?cache=shared",
    ],
)
def test_invalid_database_url_is_named(env: Env, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    env.database("DATABASE_URL")
    assert "DATABASE_URL" in error_line(env)


@pytest.mark.parametrize("url", ["postgresql://user@db/users?pool=false", "postgresql:///?service=users"])
def test_database_without_a_pool_or_from_a_service_file_is_accepted(
    env: Env, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    database = env.database("DATABASE_URL")
    assert database["NAME"] or database["OPTIONS"]["service"]
    assert "pool" not in database["OPTIONS"]


@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter2@db:port/users", "mysql://u:hunter2@db/users", "postgresql://u:hunter2@[db/u"]
)
def test_error_for_an_invalid_database_url_hides_its_password(
    env: Env, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    env.database("DATABASE_URL")
    assert "hunter2" not in error_line(env)


@pytest.mark.parametrize("parse", ["names", "hosts"])
def test_spaces_and_empty_items_are_removed_from_a_list(env: Env, monkeypatch: pytest.MonkeyPatch, parse: str) -> None:
    monkeypatch.setenv("LIST", " a.example, b.example ,,")
    assert getattr(env, parse)("LIST") == ["a.example", "b.example"]
    assert getattr(env, parse)("ANOTHER", "x, y") == ["x", "y"]


@pytest.mark.parametrize("value", ["", " ", " , "])
def test_hosts_must_not_be_empty_but_names_may_be(env: Env, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", value)
    assert env.names("ALLOWED_HOSTS") == []
    env.hosts("ALLOWED_HOSTS")
    assert "ALLOWED_HOSTS" in error_line(env)


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ("", []),
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        (" 10.0.0.0/8 , fd00::/8,", ["10.0.0.0/8", "fd00::/8"]),
        ("::1", ["::1/128"]),
    ],
)
def test_list_of_networks_is_parsed(env: Env, monkeypatch: pytest.MonkeyPatch, value: str, networks: list[str]) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    assert env.networks("TRUSTED_PROXIES") == [ipaddress.ip_network(network) for network in networks]


@pytest.mark.parametrize("value", ["everyone", "10.0.0.1/8", "10.0.0.0/33", "10.0.0"])
def test_invalid_network_is_named(env: Env, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    env.networks("TRUSTED_PROXIES")
    assert "TRUSTED_PROXIES" in error_line(env)


def test_trailing_slash_of_a_service_url_is_removed(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_BACKEND_URL", "http://users-api/")
    assert env.http_url("USER_BACKEND_URL") == "http://users-api"


@pytest.mark.parametrize("value", ["", "users-api:8000", "ftp://users-api", "//users-api", "http://", "http://[::1"])
def test_invalid_url_of_a_service_is_named(env: Env, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("USER_BACKEND_URL", value)
    env.http_url("USER_BACKEND_URL")
    assert "USER_BACKEND_URL" in error_line(env)


def test_link_may_be_empty_but_not_invalid(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.link("WEB_PUBLIC_URL", "") == ""
    monkeypatch.setenv("WEB_PUBLIC_URL", "")
    assert env.link("WEB_PUBLIC_URL", "") == ""
    monkeypatch.setenv("WEB_PUBLIC_URL", "https://app.example/")
    assert env.link("WEB_PUBLIC_URL", "") == "https://app.example"
    monkeypatch.setenv("WEB_PUBLIC_URL", "javascript:alert(1)")
    env.link("WEB_PUBLIC_URL", "")
    assert "WEB_PUBLIC_URL" in error_line(env)


def test_api_description_leaves_out_links_without_a_url() -> None:
    assert (
        settings.api_description("Notes.", Open_the_app="https://a", Admin="") == "Notes.\n\n[Open the app](https://a)"
    )
    assert settings.api_description("Notes.", Open_the_app="") == "Notes."


def test_origin_without_a_scheme_is_refused(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSRF_TRUSTED_ORIGINS", "https://a.example, https://*.b.example:8443/,")
    assert env.origins("CSRF_TRUSTED_ORIGINS") == ["https://a.example", "https://*.b.example:8443"]
    monkeypatch.setenv("CSRF_TRUSTED_ORIGINS", "https://a.example,b.example")
    env.origins("CSRF_TRUSTED_ORIGINS")
    assert "CSRF_TRUSTED_ORIGINS" in error_line(env)


@pytest.mark.parametrize(("value", "wrong"), [("", True), ("  ", True), ("x", False)])
def test_filled_refuses_an_empty_variable(env: Env, monkeypatch: pytest.MonkeyPatch, value: str, wrong: bool) -> None:
    monkeypatch.setenv("SECRET_KEY", value)
    env.filled("SECRET_KEY")
    if wrong:
        assert "SECRET_KEY" in error_line(env)
    env.seal()


@pytest.mark.parametrize(("value", "wrong"), [("0", True), ("-3", True), ("1.5", True), ("ten", True), ("1", False)])
def test_count_must_be_positive(env: Env, monkeypatch: pytest.MonkeyPatch, value: str, wrong: bool) -> None:
    monkeypatch.setenv("LIMIT", value)
    env.count("LIMIT", 10)
    if wrong:
        assert "LIMIT" in error_line(env)
    env.seal()


@pytest.mark.parametrize(("hashed", "backend"), [(True, "CompressedManifest"), (False, "StaticFilesStorage")])
def test_static_files_are_hashed_or_plain(hashed: bool, backend: str) -> None:
    storages: dict[str, Any] = settings.storages(hashed)
    assert backend in storages["staticfiles"]["BACKEND"]


def test_a_variable_may_be_in_a_file(env: Env, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert env.str("SECRET_KEY") == "from a file"
    env.seal()


def test_unreadable_file_aborts_startup_and_names_the_variable(
    env: Env, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(SystemExit, match="SECRET_KEY_FILE"):
        env.str("SECRET_KEY")


@pytest.mark.parametrize("folder", ["a#b", "a?b", "a%20b", "a b", "größe", "a\nb", "a'\"$b"])
def test_sqlite_file_may_have_any_path(env: Env, tmp_path: Path, folder: str) -> None:
    file = tmp_path / folder / "x.sqlite3"
    assert env.database("MISSING", settings.sqlite(file))["NAME"] == str(file)
