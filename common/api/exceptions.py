"""Exceptions of the APIs, in addition to those of Django REST framework."""

from rest_framework import exceptions, status


class NotAuthenticated(exceptions.APIException):
    """401: no valid token, or wrong user name or password.

    Django REST framework's own class becomes a 403 in views without authentication.
    """

    status_code = status.HTTP_401_UNAUTHORIZED
    default_code = "not_authenticated"


class ServiceUnavailable(exceptions.APIException):
    """503: a dependency is unavailable. `wait` is the Retry-After header, in seconds."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The service is temporarily unavailable. Try again soon."
    default_code = "service_unavailable"
    wait = 5
