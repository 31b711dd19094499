"""Error handlers that show errors in the admin as pages. All other errors are JSON, as in `common.api.errors`."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from common.api import errors
from common.http import request_id


def page_in_admin(handler: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return an error handler that sends browsers a page for paths below /admin/, and JSON otherwise."""

    @wraps(handler)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = handler(request, *args, **kwargs)
        prefers_page = request.get_preferred_type(["application/json", "text/html"]) == "text/html"
        if not (prefers_page and request.path.startswith("/admin/")):
            return response
        context = {
            "title": response.reason_phrase,
            "message": json.loads(response.content)["message"],
            # With this id, staff can find the log lines of the request.
            "code": request_id.current() if response.status_code >= 500 else None,
        }
        # Render the page without the request, because reading the request's user would fail while the database is down.
        response.content = render_to_string("admin/error.html", context).encode()
        response["Content-Type"] = "text/html; charset=utf-8"
        return response

    return respond


bad_request = page_in_admin(errors.bad_request)
forbidden = page_in_admin(errors.forbidden)
not_found = page_in_admin(errors.not_found)
server_error = page_in_admin(errors.server_error)
csrf_failure = page_in_admin(errors.csrf_failure)
