"""Test the OpenAPI document and Swagger UI."""

import re
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return the OpenAPI document. Fail if drf-spectacular prints a warning."""
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    return yaml.safe_load(output.getvalue())


def test_schema_is_served_with_and_without_a_trailing_slash(anonymous: APIClient, schema: Any) -> None:
    for path in ("/schema/", "/schema"):
        response = anonymous.get(path)
        assert response.status_code == 200
        assert yaml.safe_load(response.content)["paths"] == schema["paths"]


def test_schema_lists_every_operation_and_status(schema: Any) -> None:
    answers = {
        operation["operationId"]: (method, path, list(operation["responses"]))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert answers == {
        "list_thoughts": ("get", "/api/thoughts/", ["200", "304", "400", "414", "503"]),
        "get_thought": ("get", "/api/thoughts/{id}/", ["200", "304", "404", "503"]),
        "list_my_thoughts": ("get", "/api/me/thoughts/", ["200", "400", "401", "414", "503"]),
        "create_thought": ("post", "/api/me/thoughts/", ["201", "400", "401", "413", "415", "429", "503"]),
        "delete_my_thought": ("delete", "/api/me/thoughts/{id}/", ["204", "401", "404", "503"]),
        "delete_thought": ("delete", "/admin/thoughts/{id}/", ["204", "401", "403", "404", "503"]),
    }


def test_schema_requires_a_token_where_the_api_does(schema: Any) -> None:
    public = {"list_thoughts", "get_thought"}
    for operations in schema["paths"].values():
        for operation in operations.values():
            needed: list[dict[str, list[str]]] = [] if operation["operationId"] in public else [{"token": []}]
            assert operation.get("security", []) == needed


def test_thought_in_the_schema_matches_the_contract(schema: Any) -> None:
    components = schema["components"]["schemas"]
    thought = components["Thought"]
    assert {name: field["type"] for name, field in thought["properties"].items()} == {
        "id": "integer",
        "username": "string",
        "text": "string",
        "timestamp": "string",
    }
    assert set(thought["required"]) == set(thought["properties"])
    assert components["ThoughtList"] == {"type": "array", "items": {"$ref": "#/components/schemas/Thought"}}
    # The request body has only the field `text`.
    text = components["ThoughtRequest"]["properties"]["text"]
    assert list(components["ThoughtRequest"]["properties"]) == ["text"]
    assert thought["properties"]["text"]["maxLength"] == 250
    # The API trims the text before it checks the length. So the limit is in the pattern, which allows outer spaces.
    assert "maxLength" not in text
    assert re.search(text["pattern"], f" {'a' * 250} ")
    assert not re.search(text["pattern"], "a" * 251)


def test_errors_in_the_schema_match_the_contract(schema: Any) -> None:
    components = schema["components"]["schemas"]
    assert components["Error"]["required"] == ["message"]
    assert set(components["InputError"]["required"]) == {"message", "errors"}
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    name = "InputError" if status == "400" else "Error"
                    content = answer["content"]["application/json"]
                    assert content["schema"] == {"$ref": f"#/components/schemas/{name}"}
                assert set(answer.get("headers", {})) >= {
                    "401": {"WWW-Authenticate"},
                    "429": {"Retry-After"},
                    "503": {"Retry-After"},
                }.get(status, set())


def test_list_in_the_schema_has_parameters_and_a_link_header(schema: Any) -> None:
    operation = schema["paths"]["/api/thoughts/"]["get"]
    parameters = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert set(parameters) == {"search", "username", "ordering", "limit", "after", "before"}
    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert parameters["search"] == {"type": "string", "default": "", "maxLength": 1000, "pattern": r"^[^\x00]*$"}
    assert parameters["ordering"]["enum"] == ["id", "-id"]
    assert set(operation["responses"]["200"]["headers"]) == {"ETag", "Link"}


def test_description_links_to_the_other_pages(schema: Any) -> None:
    assert schema["info"]["description"].endswith(
        "[Open the app](https://frontend.example) · [Get a token from the Users API](https://users.example)"
    )


def test_swagger_ui_keeps_the_token_across_a_reload(anonymous: APIClient) -> None:
    assert '"persistAuthorization": true' in anonymous.get("/?script").content.decode()


def test_swagger_ui_loads_only_local_files(anonymous: APIClient) -> None:
    response = anonymous.get("/")
    assert response.status_code == 200
    page = response.content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize("language", ["de", "xx", "x" * 1000])
def test_lang_parameter_does_not_load_a_translation(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr("django.utils.translation.trans_real.DjangoTranslation", None)
    assert Client().get(f"/schema/?lang={language}").status_code == 200
