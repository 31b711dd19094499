from typing import Any

from django.db.models import QuerySet
from rest_framework import generics

from common.api.caching import own
from common.api.permissions import HasToken
from notes_api.models import Note
from notes_api.pagination import NotePagination
from notes_api.serializers import NoteSerializer


class OwnNotesMixin(generics.GenericAPIView[Note]):
    """Mixin that limits a view to the notes of the user whose token was sent."""

    permission_classes = [HasToken]
    queryset = Note.objects.all()
    serializer_class = NoteSerializer

    def get_queryset(self) -> QuerySet[Note]:
        return super().get_queryset().filter(username=self.request.user.username)


@own
class NoteListView(OwnNotesMixin, generics.ListCreateAPIView[Note]):
    """List your own notes, or create one."""

    pagination_class = NotePagination

    def perform_create(self, serializer: Any) -> None:
        serializer.save(username=self.request.user.username)


@own
class NoteDetailView(OwnNotesMixin, generics.RetrieveUpdateDestroyAPIView[Note]):
    """Read, change or delete one of your own notes."""
