"""Format log lines as text for people, or as JSON for programs that collect logs.

gunicorn's master imports this module, so it must not import Django.
"""

import logging
import traceback
from collections.abc import Iterator
from http.client import responses
from typing import Any

from pythonjsonlogger.json import JsonFormatter

TIME = "%H:%M:%S"
TEXT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s [%(request_id)s] %(message)s"
LOG_FIELDS = "thoughts.log_fields"  # the key of the request's log fields in the WSGI environ
# The fields of a log line in JSON. docs/observability.md explains them.
FIELDS = (
    "time", "level", "logger", "message", "event", "request_id", "trace_id", "method", "route", "status",
    "duration_ms", "bytes", "account", "network", "target", "action", "reason", "exc_info", "stack_info",
)  # fmt: skip


class JSONFormatter(JsonFormatter):
    """Formatter that writes a JSON object per line, with only the fields in `FIELDS`.

    python-json-logger would also write every other attribute of the record. Django adds the request object to some
    records. The string form of this object contains the query string, which may be private. An exception is written
    without its message, which may contain a user's data.
    """

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger"}
        super().__init__("%(levelname)s %(name)s %(message)s", timestamp="time", rename_fields=names)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that have a value.

        Django's message about a request contains the path, and may quote a header. So this method replaces the message
        with the reason phrase of the response, for example "Not Found".
        """
        if "request" in log_data and "status_code" in log_data:
            log_data["message"] = responses.get(log_data["status_code"], "Unknown Status Code")
            match = getattr(log_data["request"], "resolver_match", None)
            log_data.setdefault("route", f"/{match.route}" if match else "unknown")
        return {name: value for name in FIELDS if (value := log_data.get(name)) not in (None, "")}

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name in `logging.Formatter`
        """Return the frames and classes of an exception, without messages.

        Chained exceptions, and the exceptions in an exception group, are included.
        """
        return "\n".join(_lines(ei[1]))


def _lines(error: BaseException | None, groups: tuple[BaseException, ...] = ()) -> Iterator[str]:
    """Yield the lines of a traceback, without messages and source code.

    The exception that was raised last comes last. `groups` are the exception groups that contain `error`. Exceptions
    may refer to each other in a circle, so the function stops at an exception that it has already visited.
    """
    chain: list[BaseException] = []
    # Compare identities, because exceptions such as Django's ValidationError may be equal.
    while error is not None and all(error is not each for each in (*chain, *groups)):
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for each in reversed(chain):
        yield "Traceback (most recent call last):"
        frames = traceback.walk_tb(each.__traceback__)
        # The empty string replaces the line of source code. `summary.format` shortens the frames of a recursion.
        summary = traceback.StackSummary.from_list(
            [(frame.f_code.co_filename, line, frame.f_code.co_name, "") for frame, line in frames]
        )
        yield from (text.rstrip("\n") for text in summary.format())
        yield f"{type(each).__module__}.{type(each).__qualname__}".removeprefix("builtins.")
        if isinstance(each, BaseExceptionGroup):
            for number, inner in enumerate(each.exceptions, start=1):
                yield f"  {number} of {len(each.exceptions)}:"
                yield from (f"    {text}" for text in _lines(inner, (*groups, each)))


def formatter(name: str, text: str = TEXT) -> logging.Formatter:
    """Return the formatter for a value of LOG_FORMAT: "text" or "json".

    `text` is the format string for "text". The time in these lines has no date.
    """
    return JSONFormatter() if name == "json" else logging.Formatter(text, TIME)
