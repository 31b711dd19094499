"""Read requests: the WSGI application, middleware, request ids, client addresses, and routes with an optional slash.

All three projects use it. It knows neither tokens nor Django REST framework.
"""
