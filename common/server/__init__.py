"""Serve with gunicorn: settings, worker, logger, error responses, management port, live reload.

Start with `gunicorn_conf`: it uses all the others.
"""
