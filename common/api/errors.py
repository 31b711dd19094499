"""The one body of every error of both APIs: `{"message": str, "errors": {field: [str]}}`."""

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

from common.api.exceptions import ServiceUnavailable

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)


class DatabaseUnavailable(ServiceUnavailable):
    """503: the database does not answer."""

    default_detail = "The database does not answer right now. Try again soon."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer for an exception that a view raised; None leaves it to Django (500)."""
    if isinstance(exc, AWAY):
        log_unavailable(exc)
        exc = DatabaseUnavailable()
    response = rest_framework_exception_handler(exc, context)
    if response is None:
        return None
    # In a view that answers with something else too, such as Swagger UI with a page.
    context["request"].accepted_renderer = JSONRenderer()
    context["request"].accepted_media_type = JSONRenderer.media_type
    if response.status_code == status.HTTP_401_UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 15.5.2
    if isinstance(exc, exceptions.ValidationError):
        errors = field_errors(exc.detail)
        response.data = {"message": _summary(errors), "errors": errors}
    else:
        response.data = {"message": response.data["detail"]}
        if response.status_code == status.HTTP_400_BAD_REQUEST:
            response.data["errors"] = {}
    return response


def log_unavailable(error: BaseException) -> None:
    """Log why a request gets a 503 in place of this error."""
    logger.warning("The database is unavailable: %s", reason(error))


def reason(error: BaseException) -> str:
    """Return the first line of a database's message. The others may quote the statement and its parameters."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def field_errors(detail: Any, name: str = api_settings.NON_FIELD_ERRORS_KEY) -> dict[str, list[str]]:
    """Return Django REST framework's `detail` as lists of messages by field; nested names are joined by dots."""
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
    """Answer what Django itself refuses (handler400): a body that is too large (413), or an unknown host (400)."""
    if isinstance(exception, RequestDataTooBig):  # RFC 9110 section 15.5.14
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
        return JsonResponse({"message": f"The body is larger than {limit} KiB."}, status=413)
    return JsonResponse({"message": "The request is malformed.", "errors": {}}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer what Django's own views forbid, those of the admin (handler403)."""
    return JsonResponse({"message": exceptions.PermissionDenied.default_detail}, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:
    """Answer a form of the admin whose CSRF token is missing or too old (CSRF_FAILURE_VIEW)."""
    again = "This form is not from a page of this site, is too old, or cookies are off. Load the page again."
    return JsonResponse({"message": again}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer a path that no view serves (handler404)."""
    return JsonResponse({"message": "There is nothing at this address."}, status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer what nobody else has, such as an exception in the admin (handler500): a fault of ours, or 503."""
    if isinstance(error := sys.exception(), AWAY):
        log_unavailable(error)
        away = DatabaseUnavailable()
        return JsonResponse(
            {"message": str(away.detail)}, status=away.status_code, headers={"Retry-After": str(away.wait)}
        )
    return JsonResponse({"message": "Something went wrong on our side."}, status=500)
