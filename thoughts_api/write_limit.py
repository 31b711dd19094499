"""Limit how many thoughts a user can write per minute and per day.

The database holds the counts, so the limits apply across all pods. A user's first thought starts a minute and a day.
When either is over, the user's next thought starts a new one. A deleted thought still counts.
https://owasp.org/API-Security/editions/2023/en/0xa4-unrestricted-resource-consumption/
"""

import math
import time

from django.conf import settings
from django.db import connection

from common.api.exceptions import TooManyRequests
from common.tokens import CLOCK_SKEW
from thoughts_api.models import WriteCount

MINUTE, DAY = 60, 24 * 3600  # seconds

# IN_MINUTE is true until the minute that began at `minute_start` is over. IN_DAY is the same for the day that began at
# `day_start`. The clocks of pods differ, so these times may be up to CLOCK_SKEW seconds in the future. A time that is
# further in the future comes from a wrong clock, so the statement replaces it with the current time.
IN_MINUTE = f"counted.minute_start > %(now)s - {MINUTE} AND counted.minute_start <= %(now)s + {CLOCK_SKEW}"
IN_DAY = f"counted.day_start > %(now)s - {DAY} AND counted.day_start <= %(now)s + {CLOCK_SKEW}"
# The statement changes no row if a limit is reached. It locks the user's row until the transaction ends. So concurrent
# requests of one user cannot exceed a limit.
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


class TooManyThoughts(TooManyRequests):
    """Response 429, because the user has reached a limit.

    `wait` is the number of seconds after which the user may write again.
    """

    default_detail = "Too many thoughts."


def count(username: str) -> None:
    """Count one more thought by this user.

    If a limit is reached, count nothing and raise `TooManyThoughts`. Call this function in the transaction that saves
    the thought. Then a thought that cannot be saved is not counted.
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
