"""Error pages for requests that gunicorn rejects before they reach Django."""

from django.http import HttpResponse
from django.template.loader import render_to_string

TITLES = {
    408: "The request timed out",
    413: "This is too large",
    414: "The address is too long",
    431: "Your browser sent too much data",
}
TEXTS = {
    408: "The request did not arrive in time. Try again.",
    413: "Go back, shorten your text, and send it again.",
    414: "Search for a shorter text.",
    431: "Delete this site's cookies, then try again.",
}


def page(status: int, message: str) -> HttpResponse:
    """Return the error page for a status.

    The setting SERVER_ERROR is the dotted path of this function. The page does not show `message`, which is written for
    developers.
    """
    error = {
        "kind": "error",
        "title": TITLES.get(status, "Invalid request"),
        "text": TEXTS.get(status, "Your browser sent an invalid request. Go back and try again."),
    }
    return HttpResponse(render_to_string("error.html", {"error": error}), status=status)
