"""Thoughts."""

from typing import Any

from django.db import models
from django.utils import timezone

from common.folding import fold

TEXT_MAX_LENGTH = 250  # characters
_FOLDED_MAX_LENGTH = 4 * TEXT_MAX_LENGTH  # no character folds into more than four


class ThoughtQuerySet(models.QuerySet["Thought"]):
    def by(self, username: str) -> "ThoughtQuerySet":
        """Return the thoughts of one author."""
        return self.filter(username=username)

    def rows(self) -> models.QuerySet["Thought", dict[str, Any]]:
        """Return them as the API answers them: a dict each, in a quarter of the time that a serializer takes."""
        return self.values("id", "username", "text", "timestamp")

    def containing(self, piece: str) -> "ThoughtQuerySet":
        """Return the thoughts whose text has this piece, whatever its letter case and accents."""
        folded = fold(piece)
        if len(folded) > _FOLDED_MAX_LENGTH:
            return self.none()
        return self.filter(folded__contains=folded) if folded else self


class Thought(models.Model):
    username = models.CharField(max_length=50)
    text = models.CharField(max_length=TEXT_MAX_LENGTH)
    folded = models.TextField(editable=False)
    timestamp = models.DateTimeField(default=timezone.now)

    objects = ThoughtQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["username", "id"], name="thought_by_author")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the thought with its folded text."""
        self.folded = fold(self.text)
        super().save(*args, **kwargs)
