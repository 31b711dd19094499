"""Configure and extend gunicorn, the HTTP server of all projects.

This package contains gunicorn's settings, worker, logger, error responses, management port and live reload. Read
`gunicorn_conf.py` first. It uses all other modules of this package.
"""
