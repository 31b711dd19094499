"""Answer Kubernetes and Prometheus: health, readiness and metrics.

`common.server.management` serves them on a port of their own; without one, the middleware in here does.
"""
