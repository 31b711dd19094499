"""Everything that users_api, thoughts_api and web share. It has no models and imports none of the three.

tokens      verify access tokens: the heart, to read first
api         make a Django REST framework project speak the contract
http        read requests: middleware, request ids, addresses, routes
operations  health and metrics
database    connections to PostgreSQL
server      gunicorn, its worker, and live reload
"""
