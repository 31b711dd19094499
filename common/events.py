"""Log each security event under a fixed name, and count it.

See OWASP ASVS 5.0 section 16.3. docs/observability.md lists when each event is logged.
"""

import logging
from enum import StrEnum

from prometheus_client import Counter

from common.registry import REGISTRY

logger = logging.getLogger("events")

COUNT = Counter("security_events", "Security events by name.", ["event"], registry=REGISTRY)


class Event(StrEnum):
    """Names of events. Alerts and dashboards use them, so do not rename them."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_LIMITED = "login.limited"
    LOGGED_OUT = "logout"
    SESSION_ENDED = "session.ended"
    TOKEN_REUSED = "session.token_reused"  # noqa: S105
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    ACCOUNT_CREATED = "account.created"
    ACCESS_REFUSED = "access.refused"
    STAFF_ACTED = "staff.acted"
    KEYS_REPLACED = "keys.replaced"


def start() -> None:
    """Create the counter of each event, with the value 0.

    Prometheus can compute a rate only for a counter that exists before the first event.
    """
    for event in Event:
        COUNT.labels(event)


def record(event: Event, **fields: str | int | None) -> None:
    """Log an event and count it.

    The names of `fields` must be in `common.logs.FIELDS`.

    Pass only ids, fixed words and networks, never text that a client sent.
    """
    COUNT.labels(event).inc()
    details = [f"{name}={value}" for name, value in fields.items() if value is not None]
    logger.info(" ".join([event, *details]), extra={"event": str(event), **fields})
