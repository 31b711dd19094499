"""The OpenAPI document: the shared errors, and who may call."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    assert schema["components"]["securitySchemes"]["token"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    return {path: next(iter(methods.values())) for path, methods in schema["paths"].items()}


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/open/", ["200", "503"]),
        ("/echo/", ["200", "400", "415", "503"]),
        ("/me/", ["200", "401", "503"]),
        ("/staff/", ["200", "401", "403", "503"]),
        ("/items/{id}/", ["200", "404", "503"]),
    ],
)
def test_an_operation_has_the_errors_that_follow_from_it(
    operations: dict[str, Any], path: str, statuses: list[str]
) -> None:
    responses = operations[path]["responses"]
    assert sorted(responses) == statuses
    for status in statuses[1:]:
        name = "InputError" if status == "400" else "Error"
        assert responses[status]["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("path", "security"), [("/open/", []), ("/me/", [{"token": []}]), ("/staff/", [{"token": []}])]
)
def test_an_operation_asks_for_a_token_where_its_permission_does(
    operations: dict[str, Any], path: str, security: list[Any]
) -> None:
    assert operations[path].get("security", []) == security
