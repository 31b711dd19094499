from rest_framework import serializers

from notes_api.models import Note


class NoteSerializer(serializers.ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ["id", "username", "text", "creation"]
        read_only_fields = ["username"]
