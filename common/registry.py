"""The registry of all Prometheus metrics of a service."""

from prometheus_client import CollectorRegistry

# The default registry is not used, because its metrics of the process cannot be added up over several workers.
REGISTRY = CollectorRegistry()
