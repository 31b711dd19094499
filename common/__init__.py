"""Code that users_api, thoughts_api and web share.

It has no models, and it imports none of the three projects.

tokens      verifies access tokens. Start here.
api         Django REST framework: authentication, permissions, errors, OpenAPI
http        middleware, request ids, client addresses, routes
operations  health, metrics, log filters
database    PostgreSQL connections
events      security events: logged and counted
logs        log formats: text and JSON
registry    the registry of all metrics
tracing     OpenTelemetry traces, which are off by default
sentry      exceptions for Sentry, which are off by default
server      gunicorn, its worker, live reload
"""
