"""The forms of the pages."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator

from web.backends.exceptions import InvalidInput

TEXT_MAX_LENGTH = 250  # characters, as thoughts_api counts them
USERNAME_MAX_LENGTH, PASSWORD_MAX_LENGTH = 50, 128  # characters, as in users_api


class BackendForm(forms.Form):
    """A form whose input is also validated by an API."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def add_backend_errors(self, error: InvalidInput) -> None:
        """Show the error messages of the API next to the fields they belong to."""
        for name, messages in error.errors.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)
        if not error.errors:
            self.add_error(None, error.message)


class ThoughtForm(BackendForm):
    text = forms.CharField(
        label="New thought",
        # Without maxlength, because browsers count UTF-16 units: an emoji would count twice.
        widget=forms.Textarea(attrs={"rows": 3, "data-limit": TEXT_MAX_LENGTH}),
        help_text=f"Up to {TEXT_MAX_LENGTH} characters. Everyone can read them.",
        error_messages={"required": "Write something first."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound:  # the form is shown again with errors
            self.fields["text"].widget.attrs["autofocus"] = True

    def clean_text(self) -> str:
        """Replace the line endings that browsers send (CRLF) with LF, then check the length."""
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        if len(text) > TEXT_MAX_LENGTH:
            raise forms.ValidationError(f"This is {len(text)} characters long. Shorten it to {TEXT_MAX_LENGTH}.")
        return text


class LoginForm(BackendForm):
    # Without maxlength, because with it browsers silently truncate pasted text.
    username = forms.CharField(
        label="User name",
        strip=False,
        validators=[MaxLengthValidator(USERNAME_MAX_LENGTH)],
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        validators=[MaxLengthValidator(PASSWORD_MAX_LENGTH)],
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = "password" if self.is_bound and self.data.get("username") else "username"
        self.fields[first].widget.attrs["autofocus"] = True


class SignUpForm(BackendForm):
    username = forms.CharField(
        label="User name",
        strip=False,
        help_text="50 characters at most: letters, digits and @ . + - _",
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        help_text="At least 8 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autofocus"] = True


class PasswordForm(BackendForm):
    old_password = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new_password = forms.CharField(
        label="New password",
        strip=False,
        help_text="At least 8 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
