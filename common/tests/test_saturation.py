"""Test the metrics of gunicorn's threads and of SQL statements."""

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError

from common import tracing
from common.database import statements
from common.registry import REGISTRY
from common.server import saturation
from common.server.worker import BufferingWorker

DATABASE = {"NAME": "thoughts", "HOST": "thoughts-postgres"}
CONTEXT = {"connection": SimpleNamespace(alias="default", vendor="postgresql", settings_dict=DATABASE)}


@pytest.mark.parametrize(("open_", "parked", "busy", "queue"), [(5, 5, 0, 0), (5, 3, 2, 0), (9, 2, 3, 4), (1, 2, 0, 0)])
def test_busy_threads_and_queue(open_: int, parked: int, busy: int, queue: int) -> None:
    worker: Any = SimpleNamespace(cfg=SimpleNamespace(threads=3), nr_conns=open_, parked=dict.fromkeys(range(parked)))
    worker.requests = lambda: BufferingWorker.requests(worker)
    saturation.measure(worker)
    names = ("gunicorn_busy_threads", "gunicorn_queued_requests", "gunicorn_threads")
    assert [REGISTRY.get_sample_value(name) for name in names] == [busy, queue, 3]


def test_statement_is_measured() -> None:
    labels = {"database": "default"}

    def count() -> float:
        return REGISTRY.get_sample_value("database_statement_duration_seconds_count", labels) or 0

    before = count()
    assert statements.measure(lambda *arguments: arguments[0], "SELECT 1", (), False, CONTEXT) == "SELECT 1"
    assert count() == before + 1


def test_span_of_a_statement_names_the_database_and_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    spans: list[dict[str, object]] = []

    def span(name: str, **attributes: object) -> AbstractContextManager[None]:
        spans.append(attributes)
        return nullcontext()

    monkeypatch.setattr(tracing, "span", span)
    statements.measure(lambda *arguments: None, "SELECT 1", (), False, CONTEXT)
    assert spans == [
        {
            "db__system__name": "postgresql",
            "db__namespace": "thoughts",
            "server__address": "thoughts-postgres",
            "db__query__text": "SELECT 1",
        }
    ]


def test_database_error_is_counted_by_its_class() -> None:
    def fail(*arguments: object) -> None:
        raise OperationalError("canceling statement")

    labels = {"database": "default", "error": "OperationalError"}
    before = REGISTRY.get_sample_value("database_errors_total", labels) or 0
    with pytest.raises(DatabaseError):
        statements.measure(fail, "SELECT 1", (), False, CONTEXT)
    assert REGISTRY.get_sample_value("database_errors_total", labels) == before + 1


def test_error_counter_exists_before_the_first_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [SimpleNamespace(alias=alias, vendor=vendor) for alias, vendor in (("new", "sqlite"), ("no", "unknown"))]
    monkeypatch.setattr(statements, "connections", SimpleNamespace(all=lambda: found))
    monkeypatch.setattr(statements, "connection_created", SimpleNamespace(connect=lambda _: None))
    statements.start()
    counts = {
        alias: REGISTRY.get_sample_value("database_errors_total", {"database": alias, "error": "OperationalError"})
        for alias in ("new", "no")
    }
    assert counts == {"new": 0, "no": None}


def test_reopened_connection_is_measured_once() -> None:
    connection = SimpleNamespace(execute_wrappers=[])
    for _ in range(2):
        statements._measure_connection(connection)
    assert connection.execute_wrappers == [statements.measure]
