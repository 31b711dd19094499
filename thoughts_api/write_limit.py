"""Limit how many thoughts a user can write. The counts are in the database, so the limit holds across all pods.

Each window of a minute or a day starts with its first thought. Deleted thoughts still count.
https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/
"""

import math
import time

from django.conf import settings
from django.db import connection
from rest_framework.exceptions import Throttled

from common.tokens import CLOCK_SKEW
from thoughts_api.models import WriteCount

MINUTE, DAY = 60, 24 * 3600  # seconds

# A start that is further ahead than CLOCK_SKEW is from a wrong clock of another pod.
IN_MINUTE = f"counted.minute_start > %(now)s - {MINUTE} AND counted.minute_start <= %(now)s + {CLOCK_SKEW}"
IN_DAY = f"counted.day_start > %(now)s - {DAY} AND counted.day_start <= %(now)s + {CLOCK_SKEW}"
# One statement locks the row from the check until the transaction ends.
COUNT = f"""
    INSERT INTO thoughts_api_writecount AS counted (username, minute_start, in_minute, day_start, in_day)
    VALUES (%(username)s, %(now)s, 1, %(now)s, 1)
    ON CONFLICT (username) DO UPDATE SET
        minute_start = CASE WHEN {IN_MINUTE} THEN counted.minute_start ELSE %(now)s END,
        in_minute = CASE WHEN {IN_MINUTE} THEN counted.in_minute + 1 ELSE 1 END,
        day_start = CASE WHEN {IN_DAY} THEN counted.day_start ELSE %(now)s END,
        in_day = CASE WHEN {IN_DAY} THEN counted.in_day + 1 ELSE 1 END
    WHERE NOT ({IN_MINUTE} AND counted.in_minute >= %(per_minute)s)
        AND NOT ({IN_DAY} AND counted.in_day >= %(per_day)s)
"""  # noqa: S608


class TooManyThoughts(Throttled):
    """429: the user has reached a limit. `wait` is in seconds."""

    default_detail = "Too many thoughts."


def count(username: str) -> None:
    """Count a thought of this user.

    Raise `TooManyThoughts`, without counting, if a limit is reached.

    Call it in the transaction that saves the thought, so that both succeed or fail together.
    """
    now = time.time()
    limits = {"per_minute": settings.WRITES_PER_MINUTE, "per_day": settings.WRITES_PER_DAY}
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"username": username, "now": now, **limits})
        if cursor.rowcount:
            return
    counted = WriteCount.objects.get(username=username)
    waits = [
        start + length - now
        for start, length, number, limit in (
            (counted.minute_start, MINUTE, counted.in_minute, settings.WRITES_PER_MINUTE),
            (counted.day_start, DAY, counted.in_day, settings.WRITES_PER_DAY),
        )
        if number >= limit
    ]
    raise TooManyThoughts(wait=max(1, math.ceil(max(waits))))
