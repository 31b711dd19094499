"""Middleware of web."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.middleware import gzip
from django.utils.cache import patch_vary_headers

from common.http.middleware import Middleware, accepted_codings
from common.http.request_id import add_log_fields
from web import errors
from web.accounts import Account
from web.backends.exceptions import BackendError


class GZipMiddleware(gzip.GZipMiddleware):
    """Django's middleware, fixed to respect the weight in `gzip;q=0`.

    Compression does not reveal the CSRF token, because Django masks the token differently in each page, and varies
    the page length at random: https://docs.djangoproject.com/en/5.2/ref/middleware/#module-django.middleware.gzip
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the page, compressed if the client accepts gzip."""
        request.META["HTTP_ACCEPT_ENCODING"] = accepted_codings(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        return super().process_response(request, response)


class AccountMiddleware(Middleware):
    """Middleware that adds `request.account`, and saves account changes in cookies."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        account = request.account = Account.from_request(request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        if account.user:
            add_log_fields(account=account.user.user_id)
        account.save(request, response)
        # Pages depend on the cookies, because pages contain a CSRF token and the name of a logged-in user.
        patch_vary_headers(response, ["Cookie"])
        # Responses to a logged-in user contain personal data. If the account has changed, cookies may contain tokens.
        storage = "no-store" if account.user or account.changed else "no-cache"
        response.setdefault("Cache-Control", f"private, {storage}")
        return response


class ErrorPageMiddleware(Middleware):
    """Middleware that returns an error page for a `BackendError` or a status of 405."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            return errors.not_allowed(request, response["Allow"])
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return an error page for a `BackendError`. Return None for other exceptions."""
        return errors.page(request, exception) if isinstance(exception, BackendError) else None
