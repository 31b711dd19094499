"""Thoughts."""

from typing import Any

from django.db import models
from django.utils import timezone

from common.folding import fold

TEXT_MAX_LENGTH = 250  # characters
FOLDED_MAX_LENGTH = 4 * TEXT_MAX_LENGTH  # no character folds into more than four


class Thought(models.Model):
    username = models.CharField(max_length=50)
    text = models.CharField(max_length=TEXT_MAX_LENGTH)
    folded = models.TextField(editable=False)
    timestamp = models.DateTimeField(default=timezone.now)

    objects: "models.Manager[Thought]"

    class Meta:
        indexes = [models.Index(fields=["username", "id"], name="thought_by_author")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the thought with its folded text."""
        self.folded = fold(self.text)
        super().save(*args, **kwargs)
