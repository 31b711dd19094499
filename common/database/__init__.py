"""Connect to PostgreSQL: persistent connections, time limits for statements, and a check of the connection limit.

`common.settings.Env.database` selects the database backend in this package for postgresql:// URLs.
"""
