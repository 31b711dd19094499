"""Errors in the log of a service."""

import json

from tools.last_errors import errors

LOG = """\
INFO gunicorn [-] Listening
ERROR django.request [a] Internal Server Error: /x
Traceback (most recent call last):
  File "x.py", line 1, in x
ValueError: x
WARNING django.request [b] Not Found: /y
Traceback (most recent call last):
SyntaxError: a worker could not start
INFO gunicorn.access GET /x 500
CRITICAL gunicorn [-] WORKER TIMEOUT"""


def test_errors_have_their_tracebacks() -> None:
    assert [record.splitlines() for record in errors(LOG.splitlines())] == [
        LOG.splitlines()[1:5],
        LOG.splitlines()[6:8],
        LOG.splitlines()[9:],
    ]


def test_error_in_json_is_printed_as_text() -> None:
    record = {"level": "ERROR", "logger": "django.request", "request_id": "a", "message": "Internal Server Error: /x"}
    lines = [
        json.dumps({"level": "INFO", "logger": "gunicorn.access", "message": "request"}),
        json.dumps({**record, "exc_info": 'Traceback (most recent call last):\n  File "x.py"\nValueError: x'}),
        json.dumps({"level": "CRITICAL", "logger": "gunicorn", "message": "WORKER TIMEOUT"}),
    ]
    assert [error.splitlines() for error in errors(lines)] == [
        [
            "ERROR django.request [a] Internal Server Error: /x",
            "Traceback (most recent call last):",
            '  File "x.py"',
            "ValueError: x",
        ],
        ["CRITICAL gunicorn [-] WORKER TIMEOUT"],
    ]


def test_log_without_errors_is_empty() -> None:
    assert list(errors(["INFO gunicorn [-] Listening", "DEBUG x"])) == []
