"""What a call to an API raises.

BackendError
├── InvalidInput        400: the person's input is at fault, with a message for each field
├── NotAuthenticated    401: not logged in, or not any more
├── Forbidden           403: the API does not allow it, to anybody or to this user
├── NotFound            404
├── TooManyRequests     429: too fast, with the seconds to wait
│   └── TooManyThoughts  the same, of an account that writes too many thoughts
└── Unavailable         no answer, a time-out, 5xx, or an answer that makes no sense
    └── Unanswered      the same, after a POST that was sent: it may have been done
"""


class BackendError(Exception):
    """A call to an API failed; `service` is what a person would call that API."""

    status = 503

    def __init__(self, service: str, message: str = "") -> None:
        super().__init__(message)
        self.service = service
        self.message = message


class InvalidInput(BackendError):
    """The input is at fault; `errors` has a list of messages for each field."""

    status = 400

    def __init__(self, service: str, message: str, errors: dict[str, list[str]]) -> None:
        super().__init__(service, message)
        self.errors = errors


class NotAuthenticated(BackendError):
    """Nobody is logged in, or not any more."""

    status = 401


class Forbidden(BackendError):
    """The API does not allow it."""

    status = 403


class NotFound(BackendError):
    """There is no such thing."""

    status = 404


class TooManyRequests(BackendError):
    """Too fast; `retry_after` is in seconds."""

    status = 429

    def __init__(self, service: str, retry_after: int) -> None:
        super().__init__(service)
        self.retry_after = retry_after


class TooManyThoughts(TooManyRequests):
    """This account has written too many thoughts lately."""


class Unavailable(BackendError):
    """The API is away or broken."""


class Unanswered(Unavailable):
    """The API has not answered a POST, which it may have done all the same."""
