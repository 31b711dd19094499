"""Pages for requests that gunicorn or the worker refuses, which do not reach Django."""

from django.conf import settings
from django.http import HttpResponse
from django.template.loader import render_to_string

TITLES = {
    408: "That took too long",
    413: "That is too large",
    414: "That is too long",
    431: "Your browser sent too much",
}
TEXTS = {
    408: "The request did not arrive in time. Please try again.",
    413: "Go back, shorten what you wrote, and send it again.",
    414: "The address is too long. If you searched, search for a shorter text.",
    431: "The headers of the request are too large. Delete the cookies of this site, then try again.",
}


def page(status: int, message: str) -> HttpResponse:
    """Return the page for a status. The setting SERVER_ERROR names this function; `message` is for developers."""
    error = {
        "kind": "error",
        "title": TITLES.get(status, "That did not work"),
        "text": TEXTS.get(status, "The request is malformed."),
    }
    headers = {"Content-Security-Policy": settings.CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
    return HttpResponse(render_to_string("error.html", {"error": error}), status=status, headers=headers)
