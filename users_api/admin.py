"""The Django admin for accounts.

Staff create accounts, switch them off, and set passwords.
"""

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import BadRequest
from django.db import IntegrityError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.timezone import localtime

from users_api import services, sessions
from users_api.forms import SetPasswordForm, UserCreationForm, UserForm
from users_api.models import USERNAME_MAX_LENGTH, User
from users_api.services import StaffAction

MAX_SESSIONS = 100  # shown on an account's page

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """The admin for accounts. Staff manage users; superusers manage staff.

    Accounts cannot be deleted or renamed, because another user could take over the name. No user can switch off their
    own account or change its rights.
    """

    form = UserForm
    add_form = UserCreationForm
    change_password_form = SetPasswordForm
    change_user_password_template = "admin/set_password.html"  # noqa: S105 - a path
    list_display = ["username", "is_active", "is_staff", "creation", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["username"]
    ordering = ["username"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "set_password"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Times", {"fields": ["creation", "last_login", "password_set"]}),
        ("Sessions", {"fields": ["session_list"]}),
    ]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["username", "password1", "password2"]})]
    actions = ["switch_off", "switch_on", "end_sessions"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return isinstance(request.user, User) and request.user.is_staff

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self.has_view_permission(request) and (
            request.user.is_superuser or obj is None or obj == request.user or not (obj.is_staff or obj.is_superuser)
        )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        fields = ["creation", "last_login", "password_set", "set_password", "session_list"]
        if obj:
            fields.append("username")
        if obj == request.user:
            fields.append("is_active")
        if obj == request.user or not request.user.is_superuser:
            fields += ["is_staff", "is_superuser"]
        return fields

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Serve the form for a new account.

        If a concurrent request stores the same name, show a form error, not a 500.
        """
        try:
            return super().add_view(request, form_url, extra_context)
        except IntegrityError:
            # Validate again. The name is in the database now, so the form shows the error.
            return super().add_view(request, form_url, extra_context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if any("\x00" in value for _, values in request.GET.lists() for value in values):
            raise BadRequest("The address contains a NUL character.")
        if not all(re.fullmatch(r"[0-9]{1,18}", key) for key in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("The id of a selected account is invalid.")  # the query would raise an exception
        return super().changelist_view(request, extra_context)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only the lookups of `list_filter`.

        Django allows all lookups of the model's own fields, such as `username__regex`.
        """
        return lookup.removesuffix("__exact") in self.list_filter

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Search for accounts, both for the list and for `/admin/autocomplete/`.

        Raise `BadRequest` (400) if the term cannot be part of a user name.
        """
        if len(search_term) > USERNAME_MAX_LENGTH or "\x00" in search_term:
            raise BadRequest("The search is too long or contains a NUL character.")
        return super().get_search_results(request, queryset, search_term)

    def save_model(self, request: HttpRequest, obj: User, form: "ModelForm[User]", change: bool) -> None:
        """Store the account, and record what staff did to it."""
        super().save_model(request, obj, form, change)
        if not change:
            services.record_staff_action(StaffAction.CREATE_ACCOUNT, obj)
        if "is_active" in form.changed_data:
            services.record_staff_action(StaffAction.SWITCH_ON if obj.is_active else StaffAction.SWITCH_OFF, obj)
        if {"is_staff", "is_superuser"} & set(form.changed_data):
            services.record_staff_action(StaffAction.CHANGE_RIGHTS, obj)

    @admin.display(description="Password")
    def set_password(self, user: User) -> str:
        return format_html('<a href="{}">Set a new password</a>', "../password/")

    @admin.display(description="Active sessions")
    def session_list(self, user: User) -> str:
        rows = [
            (
                session.device or "unknown device",
                session.network or "an unknown network",
                *(date_format(localtime(time), "DATETIME_FORMAT") for time in (session.began, session.used)),
            )
            for session in sessions.usable(user)[:MAX_SESSIONS]
        ]
        return format_html_join(mark_safe("<br>"), "{} from {}: since {}, last used {}", rows) or "none"

    @admin.action(description="Switch selected accounts off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._switch(request, queryset, on=False)

    @admin.action(description="Switch selected accounts on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="End the sessions of selected accounts", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        selected = list(queryset)
        changed = [user for user in selected if self.has_change_permission(request, user)]
        for user in changed:
            user.end_sessions()
            self.log_change(request, user, "Ended the sessions.")
            services.record_staff_action(StaffAction.END_SESSIONS, user)
        self._report(request, "Accounts whose sessions were ended", len(changed), len(selected))

    def _switch(self, request: HttpRequest, queryset: QuerySet[User], *, on: bool) -> None:
        selected: list[Any] = list(queryset)
        changed = [user for user in selected if user != request.user and self.has_change_permission(request, user)]
        for user in changed:
            user.is_active = on
            user.save(update_fields=["is_active"])
            self.log_change(request, user, f"Switched {'on' if on else 'off'}.")
            services.record_staff_action(StaffAction.SWITCH_ON if on else StaffAction.SWITCH_OFF, user)
        self._report(request, f"Accounts switched {'on' if on else 'off'}", len(changed), len(selected))

    def _report(self, request: HttpRequest, done: str, changed: int, selected: int) -> None:
        """Show how many of the selected accounts were changed, and warn about the others."""
        if changed == selected:
            self.message_user(request, f"{done}: {changed}.", messages.SUCCESS)
        else:
            refused = f"Accounts that you may not change in this way: {selected - changed}."
            self.message_user(request, f"{done}: {changed}. {refused}", messages.WARNING)
