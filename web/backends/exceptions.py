"""Exceptions of API calls.

BackendError
├── InvalidInput         400, with messages for each invalid field
├── NotAuthenticated     401: no valid token
├── Forbidden            403: not allowed, or the feature is disabled
├── NotFound             404
├── TooManyRequests      429, with the seconds to wait
│   └── TooManyThoughts  the account writes too many thoughts
└── Unavailable          no connection, a timeout, 5xx, or an unexpected answer
    └── Unanswered       a POST was sent, but not answered: it may have succeeded
"""


class BackendError(Exception):
    """A call to an API failed. `service` names the API for users."""

    status = 503

    def __init__(self, service: str, message: str = "") -> None:
        super().__init__(message)
        self.service = service
        self.message = message


class InvalidInput(BackendError):
    """The input is invalid. `errors` maps each field to a list of messages."""

    status = 400

    def __init__(self, service: str, message: str, errors: dict[str, list[str]]) -> None:
        super().__init__(service, message)
        self.errors = errors


class NotAuthenticated(BackendError):
    """The user is not logged in, or the token has expired."""

    status = 401


class Forbidden(BackendError):
    """The API does not allow the request."""

    status = 403


class NotFound(BackendError):
    """The resource does not exist."""

    status = 404


class TooManyRequests(BackendError):
    """The client sends requests too fast. `retry_after` is in seconds."""

    status = 429

    def __init__(self, service: str, retry_after: int) -> None:
        super().__init__(service)
        self.retry_after = retry_after


class TooManyThoughts(TooManyRequests):
    """The account has recently written too many thoughts."""


class Unavailable(BackendError):
    """The API is unavailable, or its answer breaks the contract."""


class Unanswered(Unavailable):
    """The API did not answer a POST. The request may have succeeded."""
