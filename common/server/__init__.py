"""Run gunicorn: its settings, worker, logger, error responses, management port and live reload.

Read `gunicorn_conf.py` first. It uses all other modules of this package.
"""
