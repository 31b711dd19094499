"""Give every error response a JSON body of the same form.

The body is `{"message": str, "errors": {field: [str]}}`. Only a response with status 400 contains `errors`.
"""

import logging
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions, status
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as rest_framework_exception_handler

from common import events
from common.api.exceptions import ServiceUnavailable
from common.events import Event

logger = logging.getLogger(__name__)

REFUSED = {status.HTTP_401_UNAUTHORIZED, status.HTTP_403_FORBIDDEN, status.HTTP_429_TOO_MANY_REQUESTS}
UNAVAILABLE = (OperationalError, InterfaceError)


class DatabaseUnavailable(ServiceUnavailable):
    """503: the database is unreachable or too slow."""

    default_detail = "The database is temporarily unavailable. Try again soon."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to an exception that an API view raised.

    Return None for an unexpected exception. Django then calls `server_error`.
    """
    if isinstance(exc, UNAVAILABLE):
        log_unavailable(exc)
        exc = DatabaseUnavailable()
    response = rest_framework_exception_handler(exc, context)
    if response is None:
        return None
    # Errors are JSON even if the view uses another renderer, as the Swagger UI view does.
    context["request"].accepted_renderer = JSONRenderer()
    context["request"].accepted_media_type = JSONRenderer.media_type
    if response.status_code == status.HTTP_401_UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 15.5.2
    if response.status_code in REFUSED:
        events.record(Event.ACCESS_REFUSED, status=response.status_code, reason=type(exc).__name__)
    if isinstance(exc, exceptions.ValidationError):
        errors = field_errors(exc.detail)
        response.data = {"message": _summary(errors), "errors": errors}
    else:
        response.data = {"message": response.data["detail"]}
        if response.status_code == status.HTTP_400_BAD_REQUEST:
            response.data["errors"] = {}
    return response


def log_unavailable(error: BaseException) -> None:
    """Log the database error that caused a 503."""
    logger.warning("The database is unavailable: %s", reason(error))


def reason(error: BaseException) -> str:
    """Return why a database call failed, for the log.

    If PostgreSQL reported the error, return the error's class and SQLSTATE, because the message may quote a value. If
    the service could not connect, or lost the connection, return the first line of the message. That line may name the
    host and the port. The other lines may contain the SQL statement and its parameters. For any other error, or if
    that line is empty, return the name of the class.
    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    if sqlstate := getattr(error.__cause__, "sqlstate", None):
        return f"{type(error.__cause__).__name__} (SQLSTATE {sqlstate})"
    line = str(error).strip().partition("\n")[0] if isinstance(error, UNAVAILABLE) else ""
    return line or type(error).__name__


def field_errors(detail: Any, name: str = api_settings.NON_FIELD_ERRORS_KEY) -> dict[str, list[str]]:
    """Return the messages for each field, from the `detail` of a DRF exception.

    The name of a nested field contains dots, such as `author.name`.
    """
    if isinstance(detail, dict):
        prefix = "" if name == api_settings.NON_FIELD_ERRORS_KEY else f"{name}."
        return {
            key: messages
            for field, inner in detail.items()
            for key, messages in field_errors(inner, f"{prefix}{field}").items()
        }
    messages = detail if isinstance(detail, list) else [detail]
    return {name: [str(message) for message in messages]}


def _summary(errors: dict[str, list[str]]) -> str:
    return " ".join(
        " ".join(messages) if field == api_settings.NON_FIELD_ERRORS_KEY else f"{field}: {' '.join(messages)}"
        for field, messages in errors.items()
    )


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Respond to a request that Django refuses (handler400).

    The status is 413 if the body is too large, and 400 otherwise.
    """
    if isinstance(exception, RequestDataTooBig):  # RFC 9110 section 15.5.14
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
        return JsonResponse({"message": f"The body is larger than {limit} KiB."}, status=413)
    return JsonResponse({"message": "The request is malformed.", "errors": {}}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Respond with 403 if a view of the Django admin denies access (handler403)."""
    events.record(Event.ACCESS_REFUSED, status=403, reason=type(exception).__name__)
    return JsonResponse({"message": exceptions.PermissionDenied.default_detail}, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:
    """Respond with 403 to an admin form that has no valid CSRF token.

    This function is for the setting CSRF_FAILURE_VIEW.
    """
    events.record(Event.ACCESS_REFUSED, status=403, reason="CSRF")
    message = "This form has expired, or cookies are disabled. Reload the page and try again."
    return JsonResponse({"message": message}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Respond with 404 to an unknown path (handler404)."""
    return JsonResponse({"message": "There is nothing at this address."}, status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    """Respond to an exception that Django REST framework does not handle (handler500).

    The status is 503 if the database is unavailable, and 500 otherwise.
    """
    if isinstance(error := sys.exception(), UNAVAILABLE):
        log_unavailable(error)
        unavailable = DatabaseUnavailable()
        headers = {"Retry-After": str(unavailable.wait)}
        return JsonResponse({"message": str(unavailable.detail)}, status=unavailable.status_code, headers=headers)
    return JsonResponse({"message": "Something went wrong on our side."}, status=500)
