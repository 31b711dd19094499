"""Thoughts, and each user's count of thoughts in the current minute and day."""

from typing import Any

from django.db import models
from django.utils import timezone

from common.folding import fold

USERNAME_MAX_LENGTH = 50  # characters
TEXT_MAX_LENGTH = 250  # characters
FOLDED_MAX_LENGTH = 4 * TEXT_MAX_LENGTH  # folding turns one character into at most four


class Thought(models.Model):
    username = models.CharField(max_length=USERNAME_MAX_LENGTH)
    text = models.CharField(max_length=TEXT_MAX_LENGTH)
    folded = models.TextField(editable=False)  # the result of `fold(text)`, for searches
    timestamp = models.DateTimeField(default=timezone.now)

    objects: "models.Manager[Thought]"

    class Meta:
        indexes = [models.Index(fields=["username", "id"], name="thought_by_author")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Set `folded` from the text, then save the thought."""
        self.folded = fold(self.text)
        super().save(*args, **kwargs)


class WriteCount(models.Model):
    """Count of the thoughts that a user has written in the current minute and day.

    `minute_start` and `day_start` are times in seconds since 1970.
    """

    username = models.CharField(max_length=USERNAME_MAX_LENGTH, primary_key=True)
    minute_start = models.FloatField()
    in_minute = models.PositiveIntegerField()
    day_start = models.FloatField()
    in_day = models.PositiveIntegerField()

    objects: "models.Manager[WriteCount]"
