"""Filters for log records."""

import logging


class ClientFaultFilter(logging.Filter):
    """Keeps a fault of a client to one WARNING without a traceback.

    Django logs an unknown host, a refused look-up or a body that is too large with one. A 503 loses its traceback too:
    `common.api.errors` has logged the reason.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; always True."""
        status = getattr(record, "status_code", 500)
        if record.name.startswith("django.") and (status < 500 or status == 503):
            record.exc_info = record.exc_text = None
            if status < 500:
                record.levelno, record.levelname = logging.WARNING, "WARNING"
                # Django escapes the arguments, but some messages quote the request themselves.
                record.msg = str(record.msg).encode("unicode_escape").decode()
        return True
