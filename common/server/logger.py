"""gunicorn's logger, with the same format as Django's logs."""

from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from common import environment, logs
from common.server._compat import invalid_request, without_target


class QuietLogger(Logger):
    """Logger that writes one line per request, except for probes and metrics.

    It does not log requests for /healthz, /readyz and /metrics. It never logs query strings, bodies or headers, because
    they may contain private data or tokens.
    """

    error_fmt = "%(asctime)s.%(msecs)03d %(levelname)s gunicorn [-] %(message)s"
    access_fmt = "%(asctime)s.%(msecs)03d %(levelname)s gunicorn.access %(message)s"

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's loggers, with the format that the variable LOG_FORMAT names."""
        super().setup(cfg)
        name = environment.text("LOG_FORMAT", "text")
        self.json = name == "json"
        for log, text in ((self.error_log, self.error_fmt), (self.access_log, self.access_fmt)):
            for handler in log.handlers:
                handler.setFormatter(logs.formatter(name, text))

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

    def refused(self, request_line: str, status: int, reason: str, address: str) -> None:
        """Log that the event loop has refused a request from this address.

        With LOG_FORMAT=json, the line does not contain `request_line`, because its path may contain a user name.
        """
        fields = {"status": status, "route": "unknown", "network": _network(address)}
        line = "a request" if self.json else request_line
        self.info("Refused %s from %s: %s %s", line, fields["network"], status, reason, extra=fields)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a warning.

        If the warning is about a malformed request, log the client's network instead of its address, and remove quoted
        parts of the request, which may contain a token.
        """
        if invalid := invalid_request(str(msg)):
            network = _network(invalid[0])
            msg, args = "Invalid request from %s: %s", (network, invalid[1])
            kwargs["extra"] = {"network": network}
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log an exception with its traceback, but without the URI of the request."""
        message = without_target(str(msg))
        super().exception(message, *(args if message == msg else ()), **kwargs)


def _network(address: str) -> str:
    from common.http.addresses import network  # this module imports Django; gunicorn's master must not

    return network(address)
