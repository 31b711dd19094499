"""Accounts in the Django admin: create them, switch them off, set passwords."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.utils.html import format_html

from users_api.models import User

admin.site.unregister(Group)


class UserCreationForm(AdminUserCreationForm):
    usable_password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ["username"]


class UserForm(UserChangeForm):
    # Django's form shows the password's hash here.
    password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ["username", "is_active", "is_staff", "is_superuser"]


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    form = UserForm
    add_form = UserCreationForm
    list_display = ["username", "is_active", "is_staff", "creation", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["username"]
    ordering = ["username"]
    filter_horizontal = []
    readonly_fields = ["creation", "last_login", "set_password"]
    fieldsets = [
        (None, {"fields": ["username", "set_password"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Times", {"fields": ["creation", "last_login"]}),
    ]
    add_fieldsets = [(None, {"classes": ["wide"], "fields": ["username", "password1", "password2", "is_staff"]})]
    actions = ["switch_off", "switch_on"]

    @admin.display(description="Password")
    def set_password(self, user: User) -> str:
        return format_html('<a href="../password/">Set a new password</a>')

    @admin.action(description="Switch selected accounts off")
    def switch_off(self, request, queryset):
        count = queryset.exclude(pk=request.user.pk).update(is_active=False)
        self.message_user(request, f"Switched off: {count}.")

    @admin.action(description="Switch selected accounts on")
    def switch_on(self, request, queryset):
        count = queryset.update(is_active=True)
        self.message_user(request, f"Switched on: {count}.")
