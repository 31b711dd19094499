"""OpenAPI annotations of the views.

Loaded with the first request for the document: the URLs use `LazyView`, and `SPECTACULAR_SETTINGS` refers to the
generator by its dotted path.
"""

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer, extend_schema_view

from common.api.schema import Error, SchemaGenerator
from thoughts_api import views
from thoughts_api.pagination import PageSerializer
from thoughts_api.serializers import SearchSerializer, ThoughtSerializer

__all__ = ["SchemaGenerator"]

STORED = {"id": 7, "username": "bruce", "text": "Tea first.", "timestamp": "2026-01-02T03:04:05Z"}
extend_schema_serializer(
    examples=[
        OpenApiExample("A thought", {"text": "Tea first."}, request_only=True),
        OpenApiExample("A stored thought", STORED, response_only=True),
    ]
)(ThoughtSerializer)

extend_schema_view(
    get=extend_schema(operation_id="list_thoughts", auth=[], parameters=[SearchSerializer, PageSerializer])
)(views.ThoughtsView)

extend_schema_view(get=extend_schema(operation_id="get_thought", auth=[], responses=ThoughtSerializer))(
    views.ThoughtView
)

extend_schema_view(
    get=extend_schema(operation_id="list_my_thoughts", parameters=[PageSerializer]),
    post=extend_schema(
        operation_id="create_thought",
        description="Create a thought. Its author is the user of the token.",
        responses={201: ThoughtSerializer, 429: Error},
    ),
)(views.MyThoughtsView)

extend_schema_view(delete=extend_schema(operation_id="delete_my_thought", responses={204: None}))(views.MyThoughtView)

extend_schema_view(delete=extend_schema(operation_id="delete_thought", responses={204: None}))(views.AdminThoughtView)
