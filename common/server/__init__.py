"""Serve with gunicorn: its settings, the worker, its log, its error answers, the management port, and live reload.

`gunicorn_conf` has the settings and names everything else in here.
"""
