"""Code that users_api, thoughts_api and web share. It has no models, and it imports none of the three projects.

tokens      verifies access tokens. Start here.
api         Django REST framework: authentication, permissions, errors, OpenAPI
http        middleware, request ids, client addresses, routes
operations  health, metrics, log filters
database    PostgreSQL connections
events      security events, and their counter
logs        formats of log lines
registry    the registry of all metrics
tracing     traces, if they are on
server      gunicorn, its worker, live reload
"""
