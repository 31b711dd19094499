"""Accounts in the Django admin: create them, switch them off, set passwords."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm, UsernameField
from django.contrib.auth.models import Group
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from users_api.models import USERNAME_TAKEN, User

admin.site.unregister(Group)


class UserCreationForm(AdminUserCreationForm):
    usable_password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ["username"]
        field_classes = {"username": UsernameField}  # normalizes it before it is judged
        error_messages = {"username": {"unique": USERNAME_TAKEN}}


class UserForm(UserChangeForm):
    # Django's form shows the password's hash here.
    password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ["username", "is_active", "is_staff", "is_superuser"]


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """All staff may create accounts and switch off those of people; rights, and who has some, are for superusers.

    Nobody deletes or renames an account, for somebody else could take over its name, nor locks themselves out.
    """

    form = UserForm
    add_form = UserCreationForm
    list_display = ["username", "is_active", "is_staff", "creation", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["username"]
    ordering = ["username"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "set_password"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Times", {"fields": ["creation", "last_login", "password_set"]}),
    ]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["username", "password1", "password2"]})]
    actions = ["switch_off", "switch_on"]

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
        fields = ["creation", "last_login", "password_set", "set_password"]
        if obj:
            fields.append("username")
        if obj == request.user:
            fields.append("is_active")
        if obj == request.user or not request.user.is_superuser:
            fields += ["is_staff", "is_superuser"]
        return fields

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if any("\x00" in value for _, values in request.GET.lists() for value in values):
            raise BadRequest("The address has a NUL character.")
        return super().changelist_view(request, extra_context)

    @admin.display(description="Password")
    def set_password(self, user: User) -> str:
        return format_html('<a href="{}">Set a new password</a>', "../password/")

    @admin.action(description="Switch selected accounts off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._switch(request, queryset, on=False)

    @admin.action(description="Switch selected accounts on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._switch(request, queryset, on=True)

    def _switch(self, request: HttpRequest, users: QuerySet[User], *, on: bool) -> None:
        changed: list[Any] = [
            user for user in users if user != request.user and self.has_change_permission(request, user)
        ]
        for user in changed:
            user.is_active = on
            user.save(update_fields=["is_active"])
            self.log_change(request, user, f"Switched {'on' if on else 'off'}.")
        self.message_user(request, f"Switched {'on' if on else 'off'}: {len(changed)}.")
