"""Logger of gunicorn, in the format of the other logs."""

from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from common.server._compat import without_quotation


class QuietLogger(Logger):
    """Logger with one line per request, except for probes and metrics. It never quotes request data."""

    error_fmt = "%(levelname)s gunicorn [-] %(message)s"
    access_fmt = "%(levelname)s gunicorn.access %(message)s"

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: timedelta) -> None:
        """Log one request, with control characters of the path escaped.

        Query and headers are private, so only the request id is logged. gunicorn's own method is slow: it collects
        all headers and variables, whatever the format.
        """
        if req.path in ("/healthz", "/readyz", "/metrics"):
            return
        # A malformed request has no PATH_INFO.
        path = environ.get("PATH_INFO", req.path or "").encode("unicode_escape").decode()
        status = str(resp.status).split(maxsplit=1)[0]
        identifier = next((value for name, value in resp.headers if name == "X-Request-ID"), "-")
        method, milliseconds = environ.get("REQUEST_METHOD", "-"), request_time.total_seconds() * 1000
        self.access_log.info(f"{method} {path} {status} {resp.sent} bytes {milliseconds:.0f} ms [{identifier}]")

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a warning without quoting a malformed request, which may contain a token."""
        super().warning(without_quotation(str(msg)), *args, **kwargs)
