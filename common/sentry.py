"""Send unexpected exceptions to Sentry. This is off by default.

While it is off, no module of Sentry's SDK is imported. An event contains only the keys that this module lists.
Their values are, for example, exception classes, stack frames without variables, and `TAGS`. So a new version of the
SDK cannot add private data. Exception messages are not sent, because they may contain a user's data.
"""

import logging
from collections.abc import Iterable, Mapping
from http import HTTPMethod
from pathlib import PurePath
from typing import Any

DSN = "SENTRY_DSN"
STOP_WITHIN = 2.0  # maximum seconds that a stopping process waits until its last events are sent
# The keys that leave this process: https://develop.sentry.dev/sdk/foundations/data-model/event-payloads/
EVENT = ("event_id", "timestamp", "platform", "level", "release", "environment")
TAGS = ("service", "method", "route", "status", "request_id", "trace_id")
EXCEPTION = ("type", "module")
FRAME = ("filename", "function", "module", "lineno", "in_app")

# `start` sets these. Until then, no module of the SDK is imported.
_sentry: Any = None
_service = ""


def start(dsn: str, environment: str, service: str, version: str) -> None:
    """Start a background thread that sends exceptions to Sentry.

    `dsn` names the Sentry project. Sentry shows `environment` and `version`. Call this function after gunicorn has
    forked the worker, because a fork does not copy threads. Raise SystemExit with a one-line message if the package is
    not installed, or if `dsn` is invalid.
    """
    global _sentry, _service
    try:
        import sentry_sdk
        from sentry_sdk.integrations.atexit import AtexitIntegration
    except ImportError:
        raise SystemExit(
            f"Invalid environment. {DSN}: the packages in common/requirements-telemetry.txt are not installed"
        ) from None
    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=environment,
            release=version,
            # Without its default integrations, the SDK does not hook into Django, logging or requests.
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[AtexitIntegration(callback=lambda pending, timeout: None)],
            shutdown_timeout=STOP_WITHIN,
            before_send=allowed,
            max_breadcrumbs=0,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            auto_session_tracking=False,
            send_client_reports=False,
            enable_backpressure_handling=False,
            spotlight=False,
            debug=False,
        )
    except ValueError:  # such as the SDK's BadDsn, or the error of urlsplit() for an invalid port
        raise SystemExit(f"Invalid environment. {DSN}: not a DSN such as https://key@sentry.example.com/1") from None
    _sentry, _service = sentry_sdk, service


class SentryHandler(logging.Handler):
    """Log handler that sends the exceptions of log records to Sentry.

    The handler ignores records without an exception. So a 503, which the services log without a traceback, is not sent.
    `common.settings.logging` adds the handler.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Send the exception of a record. Do nothing before `start` is called."""
        if _sentry is None or not record.exc_info or not record.exc_info[0]:
            return
        try:
            _sentry.capture_exception(record.exc_info, tags=_tags(record))
        except Exception:  # noqa: BLE001 - a fault of the SDK must not break the response
            self.handleError(record)


def _tags(record: logging.LogRecord) -> dict[str, str]:
    """Return Sentry's tags for a record.

    Except for `service`, the values come from attributes that Django and `request_id.LogFilter` have added to the
    record.
    """
    tags = {"service": _service}
    for tag, attribute in (("request_id", "request_id"), ("trace_id", "trace_id"), ("status", "status_code")):
        if value := getattr(record, attribute, None):
            tags[tag] = str(value)
    if request := getattr(record, "request", None):
        match = request.resolver_match
        tags["method"] = request.method if request.method in HTTPMethod.__members__ else "other"
        tags["route"] = f"/{match.route}" if match else "unknown"
    return tags


def allowed(event: Any, hint: Any) -> Any:
    """Return a new event with only the allowed keys.

    The SDK calls this function just before it sends the event.
    """
    tags = _pick(event["tags"], TAGS)
    transaction = {"transaction": f"{tags['method']} {tags['route']}"} if "route" in tags else {}
    values = [_exception(each) for each in event["exception"]["values"]]
    return {**_pick(event, EVENT), **transaction, "tags": tags, "exception": {"values": values}}


def _exception(value: Mapping[str, Any]) -> dict[str, Any]:
    frames = [_frame(each) for each in (value.get("stacktrace") or {}).get("frames", ())]
    return {**_pick(value, EXCEPTION), **({"stacktrace": {"frames": frames}} if frames else {})}


def _frame(frame: Mapping[str, Any]) -> dict[str, Any]:
    kept = _pick(frame, FRAME)
    filename = kept.get("filename")
    # If the SDK does not know the module, the file name is an absolute path, which may contain a user name.
    return {**kept, "filename": PurePath(filename).name} if filename and filename.startswith("/") else kept


def _pick(mapping: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}
