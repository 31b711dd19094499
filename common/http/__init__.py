"""Process HTTP requests, in all projects.

This package contains code for the WSGI application, middleware, request ids, client addresses and routes. The package
depends on neither `common.tokens` nor Django REST framework.
"""
