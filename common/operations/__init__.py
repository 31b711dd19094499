"""Health, readiness and metrics for Kubernetes and Prometheus, and log filters.

`common.server.management` serves them on a separate port. Without that port, the middleware here does.
"""
