"""Test the OpenAPI document and the Swagger page."""

from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return the document. Fail if drf-spectacular logs a warning."""
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    return yaml.safe_load(output.getvalue())


def test_schema_lists_every_operation_and_status(schema: Any) -> None:
    answers = {
        operation["operationId"]: (method, path, list(operation["responses"]))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert answers == {
        "login": ("post", "/api/login/", ["200", "400", "401", "413", "415", "429", "503"]),
        "refresh": ("post", "/api/token/refresh/", ["200", "400", "401", "413", "415", "503"]),
        "logout": ("post", "/api/logout/", ["204", "400", "413", "415", "503"]),
        "sessions": ("get", "/api/sessions/", ["200", "401", "503"]),
        "end_sessions": ("delete", "/api/sessions/", ["204", "401", "503"]),
        "end_session": ("delete", "/api/sessions/{id}/", ["204", "401", "404", "503"]),
        "change_password": ("post", "/api/password/", ["204", "400", "401", "413", "415", "429", "503"]),
        "sign_up": ("post", "/api/users/", ["201", "400", "403", "413", "415", "429", "503"]),
        "create_user": ("post", "/admin/users/", ["201", "400", "401", "403", "413", "415", "503"]),
        "jwks": ("get", "/.well-known/jwks.json", ["200", "304", "503"]),
        "status": ("get", "/api/status/", ["204", "503"]),
    }


def test_operations_that_require_a_token_are_secured(schema: Any) -> None:
    secured = {
        operation["operationId"]
        for operations in schema["paths"].values()
        for operation in operations.values()
        if operation.get("security")
    }
    assert secured == {"create_user", "sessions", "end_sessions", "end_session", "change_password"}


def test_schema_describes_no_response_with_a_password(schema: Any) -> None:
    assert list(schema["components"]["schemas"]["User"]["properties"]) == ["id", "username", "creation"]
    assert schema["components"]["schemas"]["UserRequest"]["properties"]["password"]["writeOnly"] is True


@pytest.mark.parametrize("path", ["/schema", "/schema/"])
def test_the_schema_is_served(api: Client, schema: Any, path: str) -> None:
    assert yaml.safe_load(api.get(path).content)["paths"] == schema["paths"]


def test_description_links_to_the_other_pages(schema: Any) -> None:
    assert schema["info"]["description"].endswith("[Open the app](https://frontend.example) · [Admin](/admin/)")


def test_swagger_ui_keeps_the_token_across_a_reload(api: Client) -> None:
    assert '"persistAuthorization": true' in api.get("/?script").text


def test_swagger_page_loads_only_files_from_this_site(api: Client) -> None:
    page = api.get("/").text
    assert "swagger-ui" in page
    assert "//cdn" not in page
    assert "https://" not in page


@pytest.mark.parametrize("language", ["de", "xx", "x" * 1000])
def test_lang_parameter_loads_no_translation(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr("django.utils.translation.trans_real.DjangoTranslation", None)
    assert Client().get(f"/schema/?lang={language}").status_code == 200
