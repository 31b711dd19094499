"""Error messages for users, each with a next step."""

import math
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from common.http import request_id
from common.http.urls import local_path
from web.backends import thoughts, users
from web.backends.exceptions import (
    BackendError,
    Busy,
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
    """An error message on a page.

    `kind` is a CSS class, which selects the colour. `temporary` is True if the same request may succeed later. `code`
    is the id of the request. It is "" if the user can solve the problem without help.
    """

    kind: str
    title: str
    text: str
    temporary: bool = False
    code: str = ""


def notice(error: BackendError) -> Notice:
    """Return the message that a page shows for this error."""
    title = "Not allowed" if isinstance(error, Forbidden) else TITLES[error.status]
    return _notice(error.status, title, _advice(error), has_code=not isinstance(error, InvalidInput))


def _notice(status: int, title: str, text: str, has_code: bool) -> Notice:
    code = request_id.current() if has_code and status in WITH_CODE else ""
    return Notice(KINDS.get(status, "error"), title, text, status in TEMPORARY, code)


def _advice(error: BackendError) -> str:
    match error:
        case Unanswered(service=thoughts.SERVICE):
            return (
                "The service did not answer in time. Your thought may have been saved. "
                "Check your thoughts before you retry."
            )
        case Busy():
            return f"Many people are {error.activity} right now. Try again in a second."
        case Unavailable():
            return f"The {NAMES[error.service]} service is temporarily unavailable. Try again in a moment."
        case TooManyThoughts():
            return f"You are posting too fast. Try again in {_duration(error.retry_after)}."
        case TooManyRequests():
            return f"Too many attempts. Try again in {_duration(error.retry_after)}."
        case NotAuthenticated():
            return "You are not logged in."
        case Forbidden():
            return error.message
        case NotFound():
            return "This no longer exists. It may have been deleted."
        case InvalidInput():
            reasons = [message for messages in error.errors.values() for message in messages] or [error.message]
            return f"{' '.join(reasons)} Change it and try again."
    return "Something went wrong. Try again."


def _duration(seconds: int) -> str:
    if seconds <= 90:
        return f"{seconds} second{'s' if seconds != 1 else ''}"
    if seconds <= 90 * 60:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{math.ceil(seconds / 3600)} hours"


TITLES = {
    400: "Invalid request",
    401: "Please log in",
    403: "This form has expired",
    404: "Not found",
    405: "This page can't be opened directly",
    413: "This is too long",
    429: "Please wait",
    500: "Something went wrong",
    503: "Temporarily unavailable",
}
# The names that pages show for the APIs.
NAMES = {thoughts.SERVICE: "thoughts", users.SERVICE: "login"}
KINDS = {401: "login", 429: "slow", 503: "unavailable"}
TEMPORARY = {429, 500, 503}
# Pages with these statuses show the request id, so that staff can find the cause in the log.
WITH_CODE = {400, 403, 429, 500, 503}
RESENT_FIELDS = ("text", "next", "place")  # never a password


def page(request: HttpRequest, error: BackendError) -> HttpResponse:
    """Return an error page with the status of the error."""
    return render_with(request, "error.html", _context(request, notice(error)), error)


def render_with(
    request: HttpRequest, template: str, context: dict[str, Any], error: BackendError | None, status: int = 200
) -> HttpResponse:
    """Render a template.

    If `error` is given, it determines the status and the `Retry-After` header.
    """
    response = render(request, template, context, status=error.status if error else status)
    if isinstance(error, (Busy, TooManyRequests)):
        response["Retry-After"] = str(error.retry_after)
    return response


def render_error(request: HttpRequest, status: int, text: str) -> HttpResponse:
    """Return an error page with this status and text, and with the site navigation."""
    error = _notice(status, TITLES[status], text, has_code=True)
    return render(request, "error.html", _context(request, error), status=status)


def not_allowed(request: HttpRequest, methods: str) -> HttpResponse:
    """Return the error page for a request whose method the view does not accept (405).

    `methods` lists the methods that the view accepts, as in an Allow header.
    """
    response = render_error(request, 405, "Use the links and forms on this site instead.")
    response["Allow"] = methods  # RFC 9110 section 15.5.6
    return response


def _context(request: HttpRequest, error: Notice) -> dict[str, Any]:
    """Return the context of the error page.

    If the error is temporary, the context contains the URL and the fields that "Try again" sends.
    """
    context: dict[str, Any] = {"error": error}
    if error.temporary:
        context["retry_url"] = local_path(request.get_full_path())
        if request.method == "POST":  # a link cannot resend a form
            context["retry_fields"] = {name: request.POST[name] for name in RESENT_FIELDS if name in request.POST}
    return context
