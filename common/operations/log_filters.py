"""Shorten the log records of client errors."""

import logging


class ClientFaultFilter(logging.Filter):
    """Log filter that makes each client error a WARNING without a traceback.

    Django logs some client errors, such as an unknown host, with a traceback. The filter also removes the traceback of
    a 503, because `common.api.errors` has already logged the reason for the 503. The filter stores the name of the
    exception's class in the field `reason`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and return True to keep it."""
        status = getattr(record, "status_code", 500)
        if record.name.startswith("django.") and (status < 500 or status == 503):
            if record.exc_info and record.exc_info[0]:
                record.reason = record.exc_info[0].__name__
            record.exc_info = record.exc_text = None
            if status < 500:
                record.levelno, record.levelname = logging.WARNING, "WARNING"
                # Some messages contain parts of the request. Django escapes only the arguments of a message, so escape
                # the message too.
                record.msg = str(record.msg).encode("unicode_escape").decode()
        return True
