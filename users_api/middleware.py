"""Middleware of users_api."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import split_domain_port

from common.http.middleware import Middleware
from users_api import errors

LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class LoopbackCookiesMiddleware(Middleware):
    """Middleware that removes `Secure` from the cookies of http://localhost.

    In production, staff open the admin at that address, through `kubectl port-forward`. Safari refuses Secure cookies
    without TLS, even on localhost. Other browsers consider that origin secure:
    https://www.w3.org/TR/secure-contexts/#is-origin-trustworthy
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response, with cookies that every browser accepts."""
        response = self.get_response(request)
        if response.cookies and not request.is_secure() and split_domain_port(request.get_host())[0] in LOOPBACK:
            for cookie in response.cookies.values():
                cookie["secure"] = ""
        return response


class NotAllowedMiddleware(Middleware):
    """Middleware that adds a body to a response with status 405.

    Django's views, such as the logout view, send a 405 without a body.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the next middleware, and return its response, or one with a body."""
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            return errors.not_allowed(request, response["Allow"])
        return response
