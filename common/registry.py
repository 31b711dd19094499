"""The registry of all Prometheus metrics of a service."""

from prometheus_client import CollectorRegistry

# The default registry is not used, because its process metrics cannot be added up across workers.
REGISTRY = CollectorRegistry()
