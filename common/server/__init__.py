"""gunicorn as the three projects use it: the worker, its log, its error answers and the management port.

`common.gunicorn_conf` has the settings and names what is in here.
"""
