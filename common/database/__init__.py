"""Connect to PostgreSQL: persistent connections, time limits for statements, a check of the connection limit.

`common.settings.Env.database` selects this backend for postgresql:// URLs.
"""
