"""Exceptions that the calls to the APIs raise.

BackendError
├── InvalidInput         400: the input is invalid; with messages for each field
├── NotAuthenticated     401: no valid token
├── Forbidden            403: not allowed, or the feature is disabled
├── NotFound             404
├── TooManyRequests      429: too many requests; with the seconds to wait
│   └── TooManyThoughts  the user has written too many thoughts
└── Unavailable          no connection, a timeout, 5xx, or an unexpected answer
    ├── BadAnswer        the API answered, but with 5xx or something unexpected
    ├── Busy             this process is already making as many slow calls as allowed
    └── Unanswered       the API did not answer a POST, which may have succeeded
"""


class BackendError(Exception):
    """A call to an API failed.

    `service` is the name of the API, such as users-api.
    """

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
    """The client has sent too many requests. It may retry after `retry_after` seconds."""

    status = 429

    def __init__(self, service: str, retry_after: int) -> None:
        super().__init__(service)
        self.retry_after = retry_after


class TooManyThoughts(TooManyRequests):
    """The user wrote too many thoughts, and must wait for `retry_after` seconds."""


class Unavailable(BackendError):
    """The API is unavailable, or it sent an unexpected answer."""


class BadAnswer(Unavailable):
    """The API answered with a status of 5xx, or an unexpected status or body."""


class Busy(Unavailable):
    """This process is already making as many slow calls as allowed.

    `activity` is what the other users are doing.

    web did not make the call. `retry_after` is in seconds.
    """

    retry_after = 1

    def __init__(self, service: str, activity: str) -> None:
        super().__init__(service)
        self.activity = activity


class Unanswered(Unavailable):
    """The API did not answer a POST. The request may have succeeded."""
