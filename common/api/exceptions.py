"""What the APIs raise beside Django REST framework's own exceptions."""

from rest_framework import exceptions, status


class NotAuthenticated(exceptions.APIException):
    """401: no valid token, or a wrong pair of user name and password.

    Not Django REST framework's own class, which is a 403 in a view without authentication.
    """

    status_code = status.HTTP_401_UNAUTHORIZED
    default_code = "not_authenticated"


class ServiceUnavailable(exceptions.APIException):
    """503: something that this service needs is away; `Retry-After` says when to come again, in seconds."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The service is not available right now. Try again soon."
    default_code = "service_unavailable"
    wait = 5
