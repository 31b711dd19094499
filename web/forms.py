"""The forms of the pages."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator

from web.backends.exceptions import InvalidInput

TEXT_MAX_LENGTH = 250  # characters, as thoughts_api counts them
USERNAME_MAX_LENGTH, PASSWORD_MAX_LENGTH = 50, 128  # characters, as in users_api
TOO_LONG = "Use at most %(limit_value)d characters. You have typed %(show_value)d."
USERNAME_ATTRS = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "dir": "auto"}


class BoundedField(forms.CharField):
    """A text field that accepts at most `limit` characters.

    The value keeps leading and trailing spaces. The HTML has no `maxlength` attribute, because that attribute makes
    browsers silently truncate pasted text.
    """

    def __init__(self, *, limit: int, **kwargs: Any) -> None:
        super().__init__(strip=False, validators=[MaxLengthValidator(limit, TOO_LONG)], **kwargs)


class FocusedField(forms.BoundField):
    """A form field. It gets the focus if `BackendForm.focused` returns its name."""

    form: "BackendForm"

    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        """Return Django's attributes, and `autofocus`."""
        focus = {"autofocus": True} if self.name == self.form.focused else {}
        return super().build_widget_attrs(attrs, widget) | focus


class BackendForm(forms.Form):
    """A form whose input is also validated by an API."""

    bound_field_class = FocusedField
    autofocus = False  # whether the first field of a form that was not submitted gets the focus

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def add_backend_errors(self, error: InvalidInput) -> None:
        """Show the error messages of the API next to the fields they belong to."""
        for name, messages in error.errors.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)
        if not error.errors:
            self.add_error(None, error.message)

    @property
    def focused(self) -> str:
        """Return the name of the field that gets the focus, or "" for none.

        In a submitted form, it is the first field with an error, or else the first field that is shown empty. Password
        fields are always shown empty.
        """
        if not self.is_bound:
            return next(iter(self.fields)) if self.autofocus else ""
        wrong = [name for name in self.fields if name in self.errors]
        empty = [
            name
            for name, field in self.fields.items()
            if isinstance(field.widget, forms.PasswordInput) or not self.data.get(name)
        ]
        return next(iter(wrong + empty + list(self.fields)))


class ThoughtForm(BackendForm):
    text = forms.CharField(
        label="New thought",
        # The field has no maxlength, because browsers count UTF-16 units, so an emoji would count twice.
        widget=forms.Textarea(
            attrs={"rows": 3, "data-limit": TEXT_MAX_LENGTH, "dir": "auto", "placeholder": "What are you thinking?"}
        ),
        help_text=f"Up to {TEXT_MAX_LENGTH} characters. Everyone can read them.",
        error_messages={"required": "Write something first."},
    )

    def clean_text(self) -> str:
        """Replace the browser's line endings (CRLF) with LF, then check the length."""
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        if len(text) > TEXT_MAX_LENGTH:
            raise forms.ValidationError(f"This is {len(text)} characters long. Shorten it to {TEXT_MAX_LENGTH}.")
        return text


class LoginForm(BackendForm):
    autofocus = True

    username = BoundedField(
        label="User name",
        limit=USERNAME_MAX_LENGTH,
        widget=forms.TextInput(attrs=USERNAME_ATTRS),
    )
    password = BoundedField(
        label="Password",
        limit=PASSWORD_MAX_LENGTH,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class SignUpForm(BackendForm):
    autofocus = True

    username = BoundedField(
        label="User name",
        limit=USERNAME_MAX_LENGTH,
        help_text="Up to 50 letters, digits or the characters @.+-_",
        widget=forms.TextInput(attrs=USERNAME_ATTRS),
    )
    password = BoundedField(
        label="Password",
        limit=PASSWORD_MAX_LENGTH,
        help_text="At least 8 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class PasswordForm(BackendForm):
    old_password = BoundedField(
        label="Current password",
        limit=PASSWORD_MAX_LENGTH,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new_password = BoundedField(
        label="New password",
        limit=PASSWORD_MAX_LENGTH,
        help_text="At least 8 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
