"""Django's PostgreSQL backend with cheaper health checks and statement timeouts."""
