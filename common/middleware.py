"""Middleware that all three projects use, beside `common.health` and `common.metrics`."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from common import request_id

GetResponse = Callable[[HttpRequest], HttpResponse]


class Middleware:
    """Keeps the next layer as `get_response`; a subclass says what happens around it in `__call__`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response


class RequestIDMiddleware(Middleware):
    """Gives each request an id, taken from its X-Request-ID or new, and says it in the answer."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on with its id set."""
        identifier = request_id.begin(request)
        response = self.get_response(request)
        response["X-Request-ID"] = identifier
        return response
