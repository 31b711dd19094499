"""Format log lines as text for people, or as JSON for programs that collect logs.

gunicorn's master imports this module, so it must not import Django.
"""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(levelname)s %(name)s [%(request_id)s] %(message)s"
LOG_FIELDS = "thoughts.log_fields"  # the key of the request's log fields in the WSGI environ
# The fields of a log line in JSON. docs/observability.md explains them.
FIELDS = (
    "time", "level", "logger", "message", "event", "request_id", "trace_id", "method", "route", "status",
    "duration_ms", "bytes", "account", "network", "target", "action", "reason", "exc_info", "stack_info",
)  # fmt: skip


class JSONFormatter(JsonFormatter):
    """Formatter that writes a JSON object per line, with only the fields in `FIELDS`.

    python-json-logger would also write every other attribute of the record. Django adds the request object to some
    records. The string form of this object contains the query string, which may be private.
    """

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger"}
        super().__init__("%(levelname)s %(name)s %(message)s", timestamp="time", rename_fields=names)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that have a value."""
        return {name: value for name in FIELDS if (value := log_data.get(name)) not in (None, "")}


def formatter(name: str, text: str = TEXT) -> logging.Formatter:
    """Return the formatter for a value of LOG_FORMAT: "text" or "json"."""
    return JSONFormatter() if name == "json" else logging.Formatter(text)
