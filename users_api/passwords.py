"""Password rules.

A password has 8 to 128 characters, and is hashed in its Unicode NFC form.
"""

import unicodedata

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.password_validation import MinimumLengthValidator
from django.core.exceptions import ValidationError

PASSWORD_MAX_LENGTH = 128  # characters as typed, before the conversion to NFC form
TOO_LONG = f"This password is too long. It must contain at most {PASSWORD_MAX_LENGTH} characters."


def normalize(password: str) -> str:
    """Return the password in its NFC form.

    Devices may encode the same letter in different ways, and NFC makes these encodings equal. NIST SP 800-63B section
    5.1.1.2 recommends normalization. RFC 8265 section 4.2 chooses NFC.

    Raise `ValidationError` if the password is too long, because normalizing it could take seconds.
    """
    if len(password) > PASSWORD_MAX_LENGTH:
        raise ValidationError(TOO_LONG, code="password_too_long")
    return unicodedata.normalize("NFC", password)


class LengthValidator(MinimumLengthValidator):
    """Django's validator for the minimum length, extended with a maximum length.

    The minimum applies to the password as the user typed it, and to its NFC form.
    """

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raise `ValidationError` if the password is too short or too long."""
        super().validate(min(password, normalize(password), key=len), user)

    def get_help_text(self) -> str:
        """Return the rule as help text for the admin."""
        return f"Your password must contain {self.min_length} to {PASSWORD_MAX_LENGTH} characters."
