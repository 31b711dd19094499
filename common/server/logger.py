"""gunicorn's logger, with the same format as Django's logs."""

from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from common import environment, logs
from common.server._compat import without_quotation


class QuietLogger(Logger):
    """Logger that writes one line per request, except for probes and metrics.

    It does not log requests for /healthz, /readyz and /metrics. It never logs query strings, bodies or headers, because
    they may contain private data or tokens.
    """

    error_fmt = "%(levelname)s gunicorn [-] %(message)s"
    access_fmt = "%(levelname)s gunicorn.access %(message)s"

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's loggers, with the format that the variable LOG_FORMAT names."""
        super().setup(cfg)
        self.json = environment.text("LOG_FORMAT", "text") == "json"
        if self.json:
            for handler in (*self.error_log.handlers, *self.access_log.handlers):
                handler.setFormatter(logs.JSONFormatter())

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: timedelta) -> None:
        """Log one request.

        With LOG_FORMAT=text, the line contains the path, with control characters escaped. With LOG_FORMAT=json, it
        contains the log fields instead.

        gunicorn's own method is slower, because it collects all headers even if the log format does not use them.
        """
        if req.path in ("/healthz", "/readyz", "/metrics"):
            return
        status = str(resp.status).split(maxsplit=1)[0]
        method, milliseconds = environ.get("REQUEST_METHOD", "-"), request_time.total_seconds() * 1000
        if self.json:
            measured = {"status": int(status), "bytes": resp.sent, "duration_ms": round(milliseconds, 1)}
            # The environ of a malformed request has no log fields.
            fields = {"route": "unknown", **environ.get(logs.LOG_FIELDS, {}), "method": method, **measured}
            self.access_log.info("request", extra=fields)
            return
        # The environ of a malformed request does not contain PATH_INFO.
        path = environ.get("PATH_INFO", req.path or "").encode("unicode_escape").decode()
        identifier = next((value for name, value in resp.headers if name == "X-Request-ID"), "-")
        self.access_log.info(f"{method} {path} {status} {resp.sent} bytes {milliseconds:.0f} ms [{identifier}]")

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a warning.

        Remove quoted parts of a malformed request, which may contain a token.
        """
        super().warning(without_quotation(str(msg)), *args, **kwargs)
