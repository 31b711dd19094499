"""Clients of both APIs. Every call returns data or raises a `BackendError`."""
