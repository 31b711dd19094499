"""Test the OpenAPI document: its errors, security requirements and formats."""

import functools
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from django.test import Client, override_settings
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from common.api import schema as common_schema
from common.api.schema import SchemaGenerator
from common.tests import views


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    scheme = schema["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert "without the word Bearer" in scheme["description"]  # Swagger UI adds this word to the input
    return {path: next(iter(methods.values())) for path, methods in schema["paths"].items()}


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/open/", ["200", "304", "503"]),
        ("/echo/", ["200", "400", "413", "415", "503"]),
        ("/fields/", ["200", "400", "413", "415", "503"]),
        ("/me/", ["200", "401", "503"]),
        ("/staff/", ["200", "401", "403", "503"]),
        ("/items/{id}/", ["200", "304", "404", "503"]),
        ("/replace/", ["200", "400", "413", "415", "503"]),
        ("/pages/", ["200", "401", "404", "503"]),
    ],
)
def test_operation_lists_all_its_statuses(operations: dict[str, Any], path: str, statuses: list[str]) -> None:
    responses = operations[path]["responses"]
    assert sorted(responses) == statuses
    assert "304" not in responses or responses["200"]["headers"]["ETag"]
    for status in (status for status in statuses if status >= "400"):
        name = "InputError" if status == "400" else "Error"
        assert responses[status]["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{name}"}


def test_cursor_pagination_has_no_link_header(operations: dict[str, Any]) -> None:
    answer = operations["/pages/"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/AnswerList"}
    assert "Link" not in answer.get("headers", {})


@pytest.mark.parametrize(
    ("path", "security"), [("/open/", []), ("/me/", [{"token": []}]), ("/staff/", [{"token": []}])]
)
def test_operation_requires_a_token_if_its_permission_requires_one(
    operations: dict[str, Any], path: str, security: list[Any]
) -> None:
    assert operations[path].get("security", []) == security


@pytest.mark.parametrize(
    ("path", "tag"), [("/open/", "For everyone"), ("/me/", "With a token"), ("/staff/", "For staff")]
)
def test_operation_has_a_group_and_a_summary(operations: dict[str, Any], path: str, tag: str) -> None:
    assert operations[path]["tags"] == [tag]
    assert operations[path]["description"].startswith(f"{operations[path]['summary']}")


@settings(max_examples=1000, deadline=None)
@given(st.text("ab \x85\u3000\n\0🎉", max_size=7))
@example("")
@example(" " * 50)
@example(" abcd ")
@example("\x1c" * 9 + "a" + " " * 9)
def test_schema_accepts_exactly_the_texts_that_the_field_accepts(text: str) -> None:
    document = request_schemas()["FieldsRequest"]["properties"]
    for name, field in views.FieldsSerializer().fields.items():
        value: Any = [text] if name == "listed" else text
        schema = document[name]["items"] if name == "listed" else document[name]
        try:
            field.run_validation(value)
        except ValidationError:
            assert not accepts(schema, text), (name, text)
        else:
            assert accepts(schema, text), (name, text)


def accepts(schema: dict[str, Any], text: str) -> bool:
    """Return whether the OpenAPI schema of a string accepts this text."""
    assert set(schema) <= {"type", "pattern", "minLength", "maxLength", "default", "nullable"}
    return (
        schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
        and re.search(schema["pattern"].removesuffix("$") + r"\Z", text) is not None  # `$` also matches before "\n"
    )


def test_response_describes_the_trimmed_text() -> None:
    properties = request_schemas()["Fields"]["properties"]
    assert properties["blank_four"] == {"type": "string", "maxLength": 4, "default": ""}
    assert properties["two_to_four"] == {"type": "string", "minLength": 2, "maxLength": 4}


def test_pattern_trims_the_same_characters_as_python() -> None:
    pattern = request_schemas()["FieldsRequest"]["properties"]["plain"]["pattern"]
    for character in map(chr, range(sys.maxunicode + 1)):
        if character != "\0":
            assert bool(re.search(pattern, character)) == bool(character.strip())


@functools.cache
def request_schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    return schemas


def test_empty_string_is_an_alternative_unless_the_pattern_matches_it() -> None:
    empty = {"type": "string", "maxLength": 0}
    text = {"type": "string", "pattern": "^[^0]*$", "maxLength": 5}
    blank = {"oneOf": [{**text, "minLength": 2}, empty], "title": "Text"}
    name = {"type": "string", "pattern": "^[^0]+$", "maxLength": 5}
    document = {"a": [blank], "b": {"oneOf": [name, empty]}}
    result = common_schema.drop_redundant_limits(document)
    assert result == {"a": [{**text, "title": "Text"}], "b": {"oneOf": [name, empty]}}


def test_error_example_names_a_field_of_the_operation(operations: dict[str, Any]) -> None:
    for path, field in [("/echo/", "text"), ("/fields/", "plain")]:
        example = operations[path]["responses"]["400"]["content"]["application/json"]["examples"]["AnError"]["value"]
        assert example == {
            "message": f"{field}: This value is not valid.",
            "errors": {field: ["This value is not valid."]},
        }


def test_group_without_operations_is_not_listed() -> None:
    operation = {"tags": ["For everyone"]}
    document = {"tags": [{"name": "For everyone"}, {"name": "For staff"}], "paths": {"/": {"get": operation}}}
    assert common_schema.drop_unused_tags(document)["tags"] == [{"name": "For everyone"}]


def test_token_scheme_description_links_to_users_api() -> None:
    scheme = common_schema.TokenAuthenticationScheme(None)
    assert "the Users API," in scheme.get_security_definition(None)["description"]
    with override_settings(USERS_PUBLIC_URL="https://users.example"):
        linked = scheme.get_security_definition(None)["description"]
    assert "the [Users API](https://users.example)," in linked


def test_integers_without_a_maximum_have_64_bits() -> None:
    document = {"id": {"type": "integer"}, "limit": {"type": "integer", "maximum": 9}, "list": [{"type": "integer"}]}
    assert common_schema.use_64_bits(document) == {
        "id": {"type": "integer", "format": "int64"},
        "limit": {"type": "integer", "maximum": 9},
        "list": [{"type": "integer", "format": "int64"}],
    }


def test_id_in_a_path_has_64_bits() -> None:
    [parameter] = SchemaGenerator().get_schema(request=None, public=True)["paths"]["/items/{id}/"]["get"]["parameters"]
    assert parameter["schema"] == {"type": "integer", "format": "int64"}


def test_concurrent_requests_generate_the_document_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, object]] = []

    def get_schema(self: object, request: object, public: bool) -> dict[str, object]:
        time.sleep(0.05)
        made.append({"paths": {}})
        return made[-1]

    monkeypatch.setattr(common_schema, "_documents", {})
    monkeypatch.setattr("common.api.schema.SpectacularSchemaGenerator.get_schema", get_schema)
    with ThreadPoolExecutor(8) as pool:
        documents = list(pool.map(lambda _: SchemaGenerator().get_schema(), range(8)))
    assert len(made) == 1
    assert all(document is made[0] for document in documents)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("", None, "application/vnd.oai.openapi"),
        ("", "*/*", "application/vnd.oai.openapi"),
        ("", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/vnd.oai.openapi"),
        ("", "application/json", "application/json"),
        ("", "application/json,*/*", "application/json"),
        ("", "application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("", "application/yaml", "application/yaml"),
        ("", "application/json;q=0.5, application/yaml", "application/yaml"),
        ("", "application/json;q=0, */*", "application/vnd.oai.openapi"),
        ("?format=json", None, "application/vnd.oai.openapi+json"),
        ("?format=json", "application/yaml", "application/vnd.oai.openapi+json"),
        ("?format=json", "application/json", "application/json"),
        ("?format=yaml", "application/json", "application/vnd.oai.openapi"),
        # An unknown format in Accept is ignored, as everywhere in the APIs.
        ("", "image/png", "application/vnd.oai.openapi"),
        ("", "nonsense", "application/vnd.oai.openapi"),
        ("", "", "application/vnd.oai.openapi"),
        ("?format=", None, "application/vnd.oai.openapi"),
    ],
)
def test_document_has_the_requested_format(api: Client, query: str, accept: str | None, content_type: str) -> None:
    headers = {} if accept is None else {"HTTP_ACCEPT": accept}
    response = api.get(f"/schema/{query}", **headers)
    assert response.status_code == 200
    assert response["Content-Type"].partition(";")[0] == content_type
    assert response["Vary"] == "Accept"
    load = json.loads if "json" in content_type else yaml.safe_load
    assert load(response.content)["openapi"].startswith("3.")


@pytest.mark.parametrize("name", ["xml", "html", "x" * 1000, "%00"])
def test_unknown_format_is_404(api: Client, name: str) -> None:
    response = api.get(f"/schema/?format={name}")
    assert response.status_code == 404
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize("query", ["version=see+elsewhere", "version=%0a"])
def test_query_does_not_change_the_document(api: Client, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setattr(common_schema, "_documents", {})
    with_query, plain = api.get(f"/schema/?{query}"), api.get("/schema/")
    assert with_query.status_code == plain.status_code == 200
    assert with_query.content == plain.content
    assert with_query["Content-Disposition"] == plain["Content-Disposition"]
    assert yaml.safe_load(plain.content)["info"]["version"] == "1.0.0"


def test_language_in_the_query_is_ignored(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    # If drf-spectacular used this language, Django would cache a translation for every language that clients request.
    monkeypatch.setattr("django.utils.translation.override", None)
    assert api.get("/schema/?lang=x-unknown").content == api.get("/schema/").content
