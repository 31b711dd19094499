"""Middleware of web."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.cache import patch_vary_headers

from common.http.middleware import Middleware
from web import errors
from web.accounts import Account
from web.backends.exceptions import BackendError


class AccountMiddleware(Middleware):
    """Adds `request.account`, and saves its changes in the cookies."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        account = request.account = Account.from_request(request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        account.save(request, response)
        # Pages contain a CSRF token and often the user's name.
        patch_vary_headers(response, ["Cookie"])
        response.setdefault("Cache-Control", "private, no-store" if account.user else "private, no-cache")
        return response


class ErrorPageMiddleware(Middleware):
    """Renders an error page for an uncaught `BackendError` and for 405."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            return errors.not_allowed(request, response["Allow"])
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the error page for a `BackendError`, None for other exceptions."""
        return errors.page(request, exception) if isinstance(exception, BackendError) else None
