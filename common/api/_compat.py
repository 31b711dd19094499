"""Private methods of drf-spectacular. `common/tests/test_compat.py` fails when a release changes them.

No public method changes the schema of a field after drf-spectacular has added the field's validators.
https://drf-spectacular.readthedocs.io/en/latest/customization.html
"""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import Field

from common.api.serializers import TextField


def field_schema(auto_schema: AutoSchema, field: Field[Any, Any, Any, Any], direction: Any) -> dict[str, Any]:
    """Return the schema of a field, ignoring extensions."""
    schema: dict[str, Any] = auto_schema._map_serializer_field(field, direction, bypass_extensions=True)
    return schema


class TextFieldAutoSchema(AutoSchema):
    """Generator of schemas that drops a `TextField`'s limits where its pattern contains them."""

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if isinstance(field, TextField) and field.trim_whitespace and "pattern" in schema:
            schema.pop("maxLength", None)  # would count the spaces that are trimmed
        if isinstance(field, TextField) and "oneOf" in schema:
            # For allow_blank, the empty text is added to oneOf, which allows one match. The pattern matches it too.
            schema |= schema.pop("oneOf")[0]
