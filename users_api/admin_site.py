"""The Django admin site, with a limit on failed logins."""

import math
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from common.http.addresses import client_address
from common.http.request_id import add_log_fields
from common.http.urls import local_path
from users_api.forms import OwnPasswordForm
from users_api.login_limit import TooManyFailures


def drop_foreign_next(request: HttpRequest) -> None:
    """Remove `next` from the request if it is not a path on this site.

    Django refuses URLs on other sites, but it redirects to `//`, which is not a valid URL.
    """
    for name in ("GET", "POST"):
        data = getattr(request, name)
        if "next" in data and not local_path(data["next"]):
            data = data.copy()
            del data["next"]
            setattr(request, name, data)


class AdminSite(admin.AdminSite):
    site_header = "Thoughts: accounts"
    site_title = "Thoughts"
    index_title = "Accounts"
    site_url = settings.WEB_PUBLIC_URL or None  # the link "View site"
    final_catch_all_view = False  # all users get a 404 for an unknown path, as in the rest of the API

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may use the admin.

        If so, add the account to the log fields.
        """
        allowed = super().has_permission(request)
        if allowed:
            add_log_fields(account=request.user.pk)
        return allowed

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Serve the login form.

        If too many logins have failed, return 429 with a Retry-After header.
        """
        drop_foreign_next(request)
        try:
            return super().login(request, extra_context)
        except TooManyFailures as error:
            context = self.each_context(request) | {
                "title": "Too many failed logins",
                "minutes": math.ceil(error.wait / 60),
                "is_nav_sidebar_enabled": False,
            }
            return TemplateResponse(
                request,
                "admin/too_many_failures.html",
                context,
                status=error.status_code,
                headers={"Retry-After": str(error.wait)},
            )

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Log out."""
        drop_foreign_next(request)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Serve the form with which users change their own password.

        This method overrides Django's method to use `OwnPasswordForm`. `AdminSite` has no attribute for that.
        """
        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=partial(OwnPasswordForm, address=client_address(request)),
            success_url=reverse("admin:password_change_done"),
            extra_context=self.each_context(request) | (extra_context or {}),
        )
        return view(request)  # type: ignore[return-value]  # may be a redirect, as with Django's own view
