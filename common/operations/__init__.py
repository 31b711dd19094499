"""Health checks for Kubernetes, metrics for Prometheus, and log filters.

`common.server.management` serves the checks and metrics on a separate port. If no such port is configured,
`HealthMiddleware` serves them on the public port.
"""
