"""What a person is told when something went wrong, and what to do next."""

import math
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from common.http.urls import local_path
from web.backends import thoughts
from web.backends.exceptions import (
    BackendError,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    TooManyThoughts,
    Unanswered,
    Unavailable,
)


@dataclass(frozen=True)
class Notice:
    """What a page shows of an error: `kind` is for its colour."""

    kind: str
    title: str
    text: str


def notice(error: BackendError) -> Notice:
    """Return what a person is told about an error."""
    return Notice(KINDS.get(error.status, "error"), TITLES[error.status], _advice(error))


def _advice(error: BackendError) -> str:
    match error:
        case Unanswered(service=thoughts.SERVICE):
            return "There was no answer in time. It may have arrived: look at your thoughts before you send it again."
        case Unavailable():
            return f"The {error.service} service is away right now. Please try again in a moment."
        case TooManyThoughts():
            return f"You are posting too fast. Try again in {_duration(error.retry_after)}."
        case TooManyRequests():
            return f"It was tried too often. Please try again in {_duration(error.retry_after)}."
        case NotAuthenticated():
            return "You are not logged in any more."
        case Forbidden():
            return error.message
        case NotFound():
            return "It is not there. It may have been deleted already."
        case InvalidInput():
            reasons = [message for messages in error.errors.values() for message in messages] or [error.message]
            return f"{' '.join(reasons)} Please change it and try again."
    return "Something went wrong. Please try again."


def _duration(seconds: int) -> str:
    if seconds <= 90:
        return f"{seconds} second{'s' if seconds != 1 else ''}"
    if seconds <= 90 * 60:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{math.ceil(seconds / 3600)} hours"


TITLES = {
    400: "That did not work",
    401: "Please log in",
    403: "That form has ended",
    404: "Nothing here",
    405: "Not this way",
    413: "That is too long",
    429: "Please wait",
    500: "Something went wrong",
    503: "Away for a moment",
}
KINDS = {401: "login", 429: "slow", 503: "away"}
PASSING = {429, 500, 503}  # the same request may succeed later


def page(request: HttpRequest, error: BackendError) -> HttpResponse:
    """Return the page that tells a person about the error, with the error's status."""
    return render_with(request, "error.html", _context(request, notice(error), error.status), error)


def render_with(
    request: HttpRequest, template: str, context: dict[str, Any], error: BackendError | None, status: int = 200
) -> HttpResponse:
    """Return a page with the status and the headers of an error, if there is one."""
    response = render(request, template, context, status=error.status if error else status)
    if isinstance(error, TooManyRequests):
        response["Retry-After"] = str(error.retry_after)
    return response


def render_error(request: HttpRequest, status: int, text: str) -> HttpResponse:
    """Return an error page with its navigation."""
    told = Notice(KINDS.get(status, "error"), TITLES[status], text)
    return render(request, "error.html", _context(request, told, status), status=status)


def not_allowed(request: HttpRequest, methods: str) -> HttpResponse:
    """Return the page for a method that the address does not take (405)."""
    response = render_error(request, 405, "This address only takes what a form sends to it.")
    response["Allow"] = methods  # RFC 9110 section 15.5.6
    return response


def _context(request: HttpRequest, told: Notice, status: int) -> dict[str, Any]:
    # What a form sent cannot be sent again by a link.
    again = status in PASSING and request.method in ("GET", "HEAD")
    return {"error": told, "again": local_path(request.get_full_path()) if again else ""}
