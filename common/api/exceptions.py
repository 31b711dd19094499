"""Exceptions of the APIs, in addition to those of Django REST framework."""

from rest_framework import exceptions, status


class NotAuthenticated(exceptions.APIException):
    """401: the token is missing or invalid, or the user name or password is wrong.

    Django REST framework's own `NotAuthenticated` would become a 403 in views without authentication classes.
    """

    status_code = status.HTTP_401_UNAUTHORIZED
    default_code = "not_authenticated"


class TooManyRequests(exceptions.Throttled):
    """429: the client has sent too many requests. `wait` is in seconds.

    Django REST framework adds one of the sentences below to the message. Its own sentence would be "Expected available
    in …".
    """

    extra_detail_singular = "Try again in {wait} second."
    extra_detail_plural = "Try again in {wait} seconds."


class ServiceUnavailable(exceptions.APIException):
    """503: a dependency, such as the database, is unavailable.

    `wait` is the number of seconds in the Retry-After header.
    """

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The service is temporarily unavailable. Try again soon."
    default_code = "service_unavailable"
    wait = 5
