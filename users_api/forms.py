"""Forms of the admin. They refuse long texts before any slow operation."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminPasswordChangeForm as OwnPasswordChangeForm
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm, UsernameField
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from common import events
from common.events import Event
from users_api import login_limit, services
from users_api.models import USERNAME_TAKEN, User
from users_api.passwords import PASSWORD_MAX_LENGTH, TOO_LONG
from users_api.services import StaffAction


class BoundedPasswords(forms.BaseForm):
    """Base class for forms whose password fields have a maximum length.

    The HTML has no `maxlength` attribute, because browsers would then silently truncate a pasted password.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, forms.PasswordInput):
                field.validators.append(MaxLengthValidator(PASSWORD_MAX_LENGTH, TOO_LONG))


class UserCreationForm(BoundedPasswords, AdminUserCreationForm):
    usable_password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ["username"]
        field_classes = {"username": UsernameField}  # normalizes the name before validation
        error_messages = {"username": {"unique": USERNAME_TAKEN}}


class UserForm(UserChangeForm):
    # Remove the field `password` from Django's form, because it shows details of the hash.
    password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ["username", "is_active", "is_staff", "is_superuser"]


class SetPasswordForm(BoundedPasswords, AdminPasswordChangeForm):
    """Form that sets the password of an account.

    Unlike Django's form, it cannot remove the password.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)

    def save(self, commit: bool = True) -> User:
        """Store the password, end all sessions of the account, and record what staff did."""
        services.set_password(self.user, self.cleaned_data["password1"])
        services.record_staff_action(StaffAction.SET_PASSWORD, self.user)
        return self.user


class OwnPasswordForm(BoundedPasswords, OwnPasswordChangeForm):
    """Form with which users change their own password.

    A wrong old password counts as a failed login from `address`, the client's address.
    """

    def __init__(self, *args: Any, address: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = address

    def clean_old_password(self) -> str:
        """Return the old password.

        Raise `ValidationError` if the old password is wrong, or if too many logins have failed.
        """
        username = self.user.get_username()
        try:
            login_limit.check(username, self.address)
            try:
                old: str = super().clean_old_password()
            except ValidationError:
                events.record(Event.LOGIN_FAILED, target=self.user.pk)
                login_limit.record(username, self.address)
                raise
        except login_limit.TooManyFailures as error:
            raise ValidationError(str(error.detail)) from None
        return old

    def save(self, commit: bool = True) -> User:
        """Store the password and end the API sessions of the account."""
        services.set_password(self.user, self.cleaned_data["new_password1"])
        return self.user
