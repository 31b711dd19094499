"""Middleware of web."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.cache import patch_vary_headers

from common.middleware import Middleware
from web import errors
from web.accounts import Account
from web.backends.exceptions import BackendError

# https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


class ContentSecurityPolicyMiddleware(Middleware):
    """Allows a page nothing but this site's own files and forms."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response


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
