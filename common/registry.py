"""The registry of all Prometheus metrics of a service."""

from prometheus_client import CollectorRegistry

# The default registry is not used, because it includes process metrics, which cannot be summed across workers.
REGISTRY = CollectorRegistry()
