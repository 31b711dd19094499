"""Accounts, refresh tokens, and failed logins."""

import unicodedata
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

USERNAME_TAKEN = "A user with this name exists already, perhaps in another letter case."


def username_key(username: str) -> str:
    """Return what two user names have in common when they differ only in letter case or in compatibility forms."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())


class UserManager(BaseUserManager["User"]):
    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """Validate the name, store the account and return it; `ValidationError` for a bad or taken name."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.full_clean(validate_unique=False)  # clean() does that, for all letter cases
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """Store an account that may do everything in the admin."""
        return self.create_user(username, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    username = models.CharField(
        max_length=50,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        help_text="50 characters at most: letters, digits and @ . + - _",
    )
    # The database's own lower() knows no letter beyond ASCII on SQLite.
    username_key = models.CharField(max_length=500, unique=True, editable=False)
    is_staff = models.BooleanField("staff", default=False, help_text="May log into this admin and use staff calls.")
    is_active = models.BooleanField(
        "active",
        default=True,
        help_text="Switch this off instead of deleting: the account can then neither log in nor refresh.",
    )
    creation = models.DateTimeField("created", default=timezone.now, editable=False)
    password_set = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"

    class Meta:
        ordering = ["username"]

    def clean(self) -> None:
        """Refuse a name that is taken in whatever letter case."""
        super().clean()
        if not self.username:  # a form has refused it already
            return
        self.username_key = username_key(self.username)
        if User.objects.filter(username_key=self.username_key).exclude(pk=self.pk).exists():
            raise ValidationError({"username": USERNAME_TAKEN})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the account with its key; off, or with a new password or none, it loses its refresh tokens for good."""
        self.username_key = username_key(self.username)
        changed = self._password is not None  # type: ignore[attr-defined] # Django's own sign, until it is saved
        with transaction.atomic():
            super().save(*args, **kwargs)
            if changed or not (self.is_active and self.has_usable_password()):
                self.refresh_tokens.all().delete()

    def set_password(self, raw_password: str | None) -> None:
        """Set the password; refresh tokens from before end with it."""
        super().set_password(raw_password)
        self.password_set = timezone.now()


class RefreshToken(models.Model):
    """A refresh token, of which only a SHA-256 digest is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_tokens")
    digest = models.CharField(max_length=64, unique=True)
    creation = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField(db_index=True)


class LoginFailure(models.Model):
    """A login that failed. The name is kept as a digest: people type passwords into the wrong field."""

    name_digest = models.CharField(max_length=64)
    address = models.GenericIPAddressField(null=True)
    time = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["address", "name_digest", "time"], name="login_failure_by_name"),
            models.Index(fields=["address", "time"], name="login_failure_by_address"),
        ]
