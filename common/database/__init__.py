"""Connect to PostgreSQL, and check that it allows enough connections.

The connections are persistent, and their statements may have a time limit. `common.settings.Env.database` selects the
database backend in this package for postgresql:// URLs.
"""
