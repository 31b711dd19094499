"""Thoughts, and the number that each user writes."""

from typing import Any

from django.db import models
from django.utils import timezone

from common.folding import fold

TEXT_MAX_LENGTH = 250  # characters
FOLDED_MAX_LENGTH = 4 * TEXT_MAX_LENGTH  # a character folds into at most four


class Thought(models.Model):
    username = models.CharField(max_length=50)
    text = models.CharField(max_length=TEXT_MAX_LENGTH)
    folded = models.TextField(editable=False)
    timestamp = models.DateTimeField(default=timezone.now)

    objects: "models.Manager[Thought]"

    class Meta:
        indexes = [models.Index(fields=["username", "id"], name="thought_by_author")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the thought with its folded text."""
        self.folded = fold(self.text)
        super().save(*args, **kwargs)


class WriteCount(models.Model):
    """How many thoughts a user wrote in the current minute and day. Starts are in seconds since 1970."""

    username = models.CharField(max_length=50, primary_key=True)
    minute_start = models.FloatField()
    in_minute = models.PositiveIntegerField()
    day_start = models.FloatField()
    in_day = models.PositiveIntegerField()

    objects: "models.Manager[WriteCount]"
