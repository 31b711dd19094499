"""Middleware of web."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.cache import patch_vary_headers

from common.http.middleware import Middleware
from web import errors
from web.accounts import Account
from web.backends.exceptions import BackendError


class AccountMiddleware(Middleware):
    """Makes each request a `web.accounts.Request`, and keeps what changed of its account in the cookies."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        account = request.account = Account.from_request(request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        account.save(request, response)
        # Every page has forms with a token of one's own, most have one's name.
        patch_vary_headers(response, ["Cookie"])
        response.setdefault("Cache-Control", "private, no-store" if account.user else "private, no-cache")
        return response


class ErrorPageMiddleware(Middleware):
    """Answers with a page what no view took care of: a `BackendError`, a method that a view does not have."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            return errors.not_allowed(request, response["Allow"])
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the page for the error; None leaves any other exception to Django."""
        return errors.page(request, exception) if isinstance(exception, BackendError) else None
