"""Django's PostgreSQL backend with cheaper health checks and time limits."""
