"""Errors in the log of a service."""

import json

from tools.last_errors import errors

TIME = "2026-11-28T20:28:27.801074+00:00"
LOG = """\
20:28:27.801 INFO gunicorn [-] Listening
20:28:27.802 ERROR django.request [a] Internal Server Error: /x
Traceback (most recent call last):
  File "x.py", line 1, in x
ValueError: x
20:28:27.803 WARNING django.request [b] Not Found: /y
Traceback (most recent call last):
SyntaxError: a worker could not start
20:28:27.804 INFO gunicorn.access GET /x 500
20:28:27.805 CRITICAL gunicorn [-] WORKER TIMEOUT"""


def test_errors_have_their_tracebacks() -> None:
    assert [record.splitlines() for record in errors(LOG.splitlines())] == [
        LOG.splitlines()[1:5],
        LOG.splitlines()[6:8],
        LOG.splitlines()[9:],
    ]


def test_error_in_json_is_printed_as_text() -> None:
    record = {"time": TIME, "level": "ERROR", "logger": "django.request", "request_id": "a"}
    record |= {"message": "Internal Server Error"}
    lines = [
        json.dumps({"time": TIME, "level": "INFO", "logger": "gunicorn.access", "message": "request"}),
        json.dumps({**record, "exc_info": 'Traceback (most recent call last):\n  File "x.py"\nValueError: x'}),
        json.dumps({"time": TIME, "level": "CRITICAL", "logger": "gunicorn", "message": "WORKER TIMEOUT"}),
    ]
    assert [error.splitlines() for error in errors(lines)] == [
        [
            "20:28:27.801 ERROR django.request [a] Internal Server Error",
            "Traceback (most recent call last):",
            '  File "x.py"',
            "ValueError: x",
        ],
        ["20:28:27.801 CRITICAL gunicorn [-] WORKER TIMEOUT"],
    ]


def test_log_without_errors_is_empty() -> None:
    assert list(errors(["20:28:27.801 INFO gunicorn [-] Listening", "20:28:27.802 DEBUG x"])) == []
