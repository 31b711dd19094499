"""Django's backend for PostgreSQL, for a server that may stop answering at any time."""

from common.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    outages = 0  # how often the replica had been left out when the connection was last used
