"""The two APIs as web sees them: `thoughts` and `users`. Every call returns data or raises a `BackendError`."""
