"""Process HTTP requests: WSGI application, middleware, request ids, client addresses, routes.

All projects use this package. It depends on neither `common.tokens` nor Django REST framework.
"""
