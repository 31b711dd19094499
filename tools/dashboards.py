"""Write the Grafana dashboards: `python -m tools.dashboards`.

Grafana's JSON repeats the same thirty lines for each panel, so this module writes the files from short lists of panels.
A test checks that the files are up to date.
"""

import json
from pathlib import Path
from typing import Any

from tools.kubectl import NAMESPACE
from tools.local import ROOT

FOLDER = ROOT / "k8s" / "components" / "observability" / "dashboards"
TEMPLATE = ROOT / "tools" / "template" / FOLDER.relative_to(ROOT)
WIDTH, HEIGHT = 12, 8  # the size of a panel in grid units; Grafana's grid has 24 columns

# A panel: title, unit, and a list of queries with their legends. `$system` selects the metrics of our namespace, and
# `$service` those of the dashboard's service. Without a selector, a panel would also show other systems.
Panel = tuple[str, str, list[tuple[str, str]]]

SYSTEM: list[Panel] = [
    ("Requests", "reqps", [("sum by (job) (rate(http_request_duration_seconds_count{$system}[5m]))", "{{job}}")]),
    ("Share of failed requests", "percentunit", [("job:http_request_errors:ratio_rate5m{$system}", "{{job}}")]),
    (
        "Duration, 95th percentile",
        "s",
        [
            (
                "histogram_quantile(0.95, sum by (job, le) (rate(http_request_duration_seconds_bucket{$system}[5m])))",
                "{{job}}",
            )
        ],
    ),
    (
        "Busy threads",
        "percentunit",
        [("sum by (job) (gunicorn_busy_threads{$system}) / sum by (job) (gunicorn_threads{$system})", "{{job}}")],
    ),
    ("Requests waiting for a thread", "short", [("sum by (job) (gunicorn_queued_requests{$system})", "{{job}}")]),
    ("Pods", "short", [('count by (job) (up{$system,job=~".*-api|web"} == 1)', "{{job}}")]),
    ("Security events", "short", [("sum by (event) (increase(security_events_total{$system}[5m]))", "{{event}}")]),
    ("Alerts", "short", [('sum by (alertname) (ALERTS{$system,alertstate="firing"})', "{{alertname}}")]),
]
SERVICE: list[Panel] = [
    (
        "Requests",
        "reqps",
        [("sum by (route) (rate(http_request_duration_seconds_count{$service}[5m]))", "{{route}}")],
    ),
    (
        "Responses by status",
        "reqps",
        [("sum by (status) (rate(http_request_duration_seconds_count{$service}[5m]))", "{{status}}")],
    ),
    (
        "Duration, 95th percentile",
        "s",
        [
            (
                "histogram_quantile(0.95, sum by (route, le) "
                "(rate(http_request_duration_seconds_bucket{$service}[5m])))",
                "{{route}}",
            )
        ],
    ),
    (
        "Threads",
        "short",
        [
            ("sum(gunicorn_busy_threads{$service})", "busy"),
            ("sum(gunicorn_queued_requests{$service})", "waiting requests"),
            ("sum(gunicorn_threads{$service})", "all"),
        ],
    ),
]
DATABASE: list[Panel] = [
    (
        "SQL statements",
        "ops",
        [("sum by (database) (rate(database_statement_duration_seconds_count{$service}[5m]))", "{{database}}")],
    ),
    (
        "SQL statements, 95th percentile",
        "s",
        [
            (
                "histogram_quantile(0.95, sum by (database, le) "
                "(rate(database_statement_duration_seconds_bucket{$service}[5m])))",
                "{{database}}",
            )
        ],
    ),
    (
        "Database errors",
        "ops",
        [("sum by (database, error) (rate(database_errors_total{$service}[5m]))", "{{database}} {{error}}")],
    ),
]
OWN: dict[str, list[Panel]] = {
    "users-api": [
        (
            "Logins",
            "short",
            [('sum by (event) (increase(security_events_total{$service,event=~"login.+"}[5m]))', "{{event}}")],
        ),
        (
            "Sessions",
            "short",
            [('sum by (event) (increase(security_events_total{$service,event=~"logout|session.+"}[5m]))', "{{event}}")],
        ),
        (
            # A session that is in use gets an access token every 15 minutes, by a login or a refresh.
            "Sessions used in the last 15 minutes",
            "short",
            [
                (
                    "sum(increase(http_request_duration_seconds_count{$service,"
                    'route=~"/api/(login|token/refresh)/",status="200"}[15m]))',
                    "sessions",
                )
            ],
        ),
        ("Age of the signing key", "s", [("time() - max(signing_key_timestamp_seconds{$service})", "age")]),
    ],
    "thoughts-api": [
        (
            "Steps of a search",
            "short",
            [
                (
                    "rate(search_steps_sum{$service}[5m]) / rate(search_steps_count{$service}[5m])",
                    "average, {{instance}}",
                )
            ],
        ),
        (
            "Thoughts written",
            "ops",
            [
                (
                    'sum(rate(http_request_duration_seconds_count{$service,method="POST",'
                    'route="/api/me/thoughts/",status="201"}[5m]))',
                    "thoughts",
                )
            ],
        ),
        (
            "Read replica",
            "short",
            [
                ("min(database_usable{$service})", "usable"),
                ("max(database_replica_lag_bytes{$service})", "lag in bytes"),
            ],
        ),
    ],
    "web": [
        (
            "Calls to the APIs",
            "reqps",
            [
                (
                    "sum by (service, outcome) (rate(backend_call_duration_seconds_count{$service}[5m]))",
                    "{{service}} {{outcome}}",
                )
            ],
        ),
        (
            "Calls to the APIs, 95th percentile",
            "s",
            [
                (
                    "histogram_quantile(0.95, sum by (service, le) "
                    "(rate(backend_call_duration_seconds_bucket{$service}[5m])))",
                    "{{service}}",
                )
            ],
        ),
    ],
}


def dashboard(name: str, panels: list[Panel]) -> dict[str, Any]:
    """Return the JSON of a dashboard. `name` is a service, or "system"."""
    system = f'namespace="{NAMESPACE}"'
    service = f'{system},job="{name}"'
    return {
        "uid": f"thoughts-{name}",
        "title": f"Thoughts: {name}",
        "tags": ["thoughts"],
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "links": [{"type": "dashboards", "title": "Thoughts", "tags": ["thoughts"]}],
        "panels": [
            {
                "id": number + 1,
                "type": "timeseries",
                "title": title,
                "datasource": {"type": "prometheus", "uid": "${source}"},
                "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "targets": [
                    {
                        "refId": chr(ord("A") + place),
                        "expr": query.replace("$system", system).replace("$service", service),
                        "legendFormat": legend,
                        "exemplar": "duration_seconds_bucket" in query,
                    }
                    for place, (query, legend) in enumerate(queries)
                ],
            }
            for number, (title, unit, queries) in enumerate(panels)
        ],
    }


def dashboards() -> dict[Path, str]:
    """Return the content of each file."""
    files = {
        FOLDER / "system.json": dashboard("system", SYSTEM),
        FOLDER / "users-api.json": dashboard("users-api", SERVICE + DATABASE + OWN["users-api"]),
        FOLDER / "thoughts-api.json": dashboard("thoughts-api", SERVICE + DATABASE + OWN["thoughts-api"]),
        FOLDER / "web.json": dashboard("web", SERVICE + OWN["web"]),
        TEMPLATE / "notes-api.json": dashboard("notes-api", SERVICE + DATABASE),
    }
    return {file: f"{json.dumps(content, indent=2)}\n" for file, content in files.items()}


if __name__ == "__main__":
    for file, content in dashboards().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
