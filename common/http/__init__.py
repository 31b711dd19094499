"""Process HTTP requests: WSGI application, middleware, request ids, client addresses, routes.

All projects use it. It depends on neither tokens nor Django REST framework.
"""
