"""Connect to PostgreSQL: connections that are kept, statements with a time limit, and enough connections for all pods.

`common.settings.Env.database` chooses this backend for postgresql:// addresses.
"""
