"""Error handlers that show errors in the admin as pages.

All other errors are JSON, as in `common.api.errors`.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from common.api import errors
from common.http import request_id

TEMPORARY = {500, 503}  # if a response has one of these statuses, the same request may succeed later


def page_in_admin(handler: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return an error handler that sends browsers a page for paths in the admin.

    All other responses are JSON.
    """

    @wraps(handler)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = handler(request, *args, **kwargs)
        if not f"{request.path}/".startswith("/admin/"):  # the start page has the paths /admin and /admin/
            return response
        patch_vary_headers(response, ["Accept"])  # RFC 9110 section 12.5.5
        if request.get_preferred_type(["application/json", "text/html"]) != "text/html":
            return response
        temporary = response.status_code in TEMPORARY
        context = {
            "site_header": admin.site.site_header,
            "site_title": admin.site.site_title,
            "site_url": admin.site.site_url,
            "title": response.reason_phrase,
            "message": json.loads(response.content)["message"],
            # With this id, staff can find the log lines of the request.
            "code": request_id.current() if response.status_code >= 500 else None,
            "retry_url": request.get_full_path() if temporary and request.method == "GET" else None,
            "form_url": _form_url(request) if temporary and request.method == "POST" else None,
        }
        # Render the page without the request, because reading the request's user would fail while the database is down.
        response.content = render_to_string("admin/error.html", context).encode()
        response["Content-Type"] = "text/html; charset=utf-8"
        return response

    return respond


def _form_url(request: HttpRequest) -> str | None:
    """Return the URL of the page with the form that the browser sent.

    Return None for logout. The logout form has no page of its own, and a GET request for its URL is a 405.
    """
    return None if request.path == reverse("admin:logout") else request.get_full_path()


@page_in_admin
def not_allowed(request: HttpRequest, methods: str) -> HttpResponse:
    """Respond with 405 to a method that a view of the admin does not accept.

    `methods` lists the methods that the view accepts, as in an Allow header.
    """
    message = f'Method "{request.method}" not allowed.'
    return JsonResponse({"message": message}, status=405, headers={"Allow": methods})  # RFC 9110 section 15.5.6


bad_request = page_in_admin(errors.bad_request)
forbidden = page_in_admin(errors.forbidden)
not_found = page_in_admin(errors.not_found)
server_error = page_in_admin(errors.server_error)
csrf_failure = page_in_admin(errors.csrf_failure)
