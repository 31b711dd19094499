"""Serializers for request and response data."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from common.api.serializers import TextField
from thoughts_api.models import FOLDED_MAX_LENGTH, TEXT_MAX_LENGTH, USERNAME_MAX_LENGTH, Thought

STORED = {"id": 7, "username": "bruce", "text": "Tea first.", "timestamp": "2026-01-02T03:04:05Z"}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A thought", {"text": "Tea first."}, request_only=True),
        OpenApiExample("A stored thought", STORED, response_only=True),
    ]
)
class ThoughtSerializer(serializers.ModelSerializer[Thought]):
    text = TextField(max_length=TEXT_MAX_LENGTH, help_text=f"1 to {TEXT_MAX_LENGTH} characters after trimming.")

    class Meta:
        model = Thought
        fields = ["id", "username", "text", "timestamp"]
        read_only_fields = ["username", "timestamp"]


class SearchSerializer(serializers.Serializer[Any]):
    search = TextField(
        required=False,
        default="",
        allow_blank=True,
        # Clients may send a whole thought in Unicode's decomposed form, where one character can become four
        # (Unicode Standard Annex 15, section 9.1).
        max_length=FOLDED_MAX_LENGTH,
        trim_whitespace=False,
        error_messages={"max_length": "A search may have up to {max_length} characters."},
        help_text="A substring of the text. Letter case, accents and invisible characters do not matter.",
    )
    username = TextField(
        required=False,
        max_length=USERNAME_MAX_LENGTH,
        trim_whitespace=False,
        help_text="Only thoughts of this user. The name must match exactly.",
    )
