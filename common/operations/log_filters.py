"""Shorten the log records of client errors."""

import logging


class ClientFaultFilter(logging.Filter):
    """Log filter that reduces client errors to one WARNING without a traceback.

    Django logs unknown hosts and oversized bodies with a traceback. A 503 loses its traceback too, because
    `common.api.errors` has logged the reason.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; always return True."""
        status = getattr(record, "status_code", 500)
        if record.name.startswith("django.") and (status < 500 or status == 503):
            record.exc_info = record.exc_text = None
            if status < 500:
                record.levelno, record.levelname = logging.WARNING, "WARNING"
                # Django escapes the arguments, but some messages contain parts of the request.
                record.msg = str(record.msg).encode("unicode_escape").decode()
        return True
