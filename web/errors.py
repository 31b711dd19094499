"""What a person is told when something went wrong, and what to do next."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from web.backends.exceptions import (
    BackendError,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unavailable,
)


def advice(error: BackendError) -> str:
    """Return one or two sentences for a person: what went wrong, and what to do next."""
    match error:
        case Unavailable():
            return f"The {error.service} service is away right now. Please try again in a moment."
        case TooManyRequests():
            return f"That was too fast, or wrong too often. Please try again in {error.retry_after} seconds."
        case NotAuthenticated():
            return "You are not logged in any more. Please log in again."
        case NotFound():
            return "It is not there. It may have been deleted already."
        case InvalidInput():
            return error.message or "That could not be understood. Please change it and try again."
    return "Something went wrong. Please try again."


TITLES = {
    400: "That did not work",
    401: "Please log in",
    403: "That form has ended",
    404: "Nothing here",
    429: "Too fast",
    500: "Something went wrong",
    503: "Away for a moment",
}


def page(request: HttpRequest, error: BackendError) -> HttpResponse:
    """Return the page that tells a person about the error, with the error's status."""
    response = render_error(request, error.status, advice(error))
    if isinstance(error, TooManyRequests):
        response["Retry-After"] = str(error.retry_after)
    return response


def render_error(request: HttpRequest, status: int, text: str) -> HttpResponse:
    """Return an error page with its navigation."""
    return render(request, "error.html", {"title": TITLES[status], "text": text, "status": status}, status=status)
