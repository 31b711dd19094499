"""Functions that call thoughts_api and users_api.

Each returns data or raises a `BackendError`.
"""
