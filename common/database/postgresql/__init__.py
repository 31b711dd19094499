"""Django's PostgreSQL backend, with cheaper health checks and a time limit for statements."""
