"""Accounts, their sessions and known networks, failed logins and sign-ups."""

import unicodedata
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from common import events
from common.events import Event
from users_api import passwords
from users_api.lookalikes import latin_lookalike

USERNAME_MAX_LENGTH = 50  # characters
USERNAME_TOO_LONG = f"A user name has at most {USERNAME_MAX_LENGTH} characters."
USERNAME_TAKEN = "A user with this name already exists. Letter case does not matter."
USERNAME_LOOKS_TAKEN = "This name looks like that of another account. Choose a different one."


def username_key(username: str) -> str:
    """Return a key that does not depend on a name's letter case or Unicode form.

    Raise `ValidationError` if the name is too long, because normalizing it could take seconds.
    """
    if len(username) > USERNAME_MAX_LENGTH:
        raise ValidationError({"username": USERNAME_TOO_LONG})
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())


def lookalike_key(username: str) -> str:
    """Return a key that is the same for all user names that look alike."""
    return username_key(latin_lookalike(username))


class UserManager(BaseUserManager["User"]):
    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """Validate the name, store the account and return it.

        Raise `ValidationError` if the name is invalid or taken.
        """
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.full_clean(validate_unique=False)  # `clean` checks for taken names in any letter case
        try:
            user.save(using=self._db)
        except IntegrityError:  # another request has stored the name since `clean`
            raise ValidationError({"username": USERNAME_TAKEN}) from None
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """Store the account of a superuser, who has all rights in the admin."""
        return self.create_user(username, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    username = models.CharField(
        max_length=USERNAME_MAX_LENGTH,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        help_text=f"At most {USERNAME_MAX_LENGTH} characters: letters, digits and @ . + - _",
    )
    # The result of `username_key`. A unique index on lower(username) is not enough: on SQLite, lower() changes only
    # ASCII letters.
    username_key = models.CharField(max_length=500, unique=True, editable=False)
    # The result of `lookalike_key`. It is null for accounts that the previous release creates during a rollout. It is
    # also null if an older account's name looked the same when this column was added.
    lookalike_key = models.CharField(max_length=500, unique=True, null=True, editable=False)  # noqa: DJ001
    is_staff = models.BooleanField(
        "staff", default=False, help_text="The user may log in to this admin, and use the API for staff."
    )
    is_active = models.BooleanField(
        "active",
        default=True,
        help_text="Switch an account off instead of deleting it. Its user can then no longer log in.",
    )
    creation = models.DateTimeField("created", default=timezone.now, editable=False)
    password_set = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"

    class Meta:
        ordering = ["username"]

    def clean(self) -> None:
        """Raise `ValidationError` if the name is taken, or looks like a taken one.

        The check for lookalikes applies only to new accounts.
        """
        super().clean()
        if not self.username or len(self.username) > USERNAME_MAX_LENGTH:  # the field's validators refuse it
            return
        self.username_key = username_key(self.username)
        others = User.objects.exclude(pk=self.pk)
        if others.filter(username_key=self.username_key).exists():
            raise ValidationError({"username": USERNAME_TAKEN})
        key = lookalike_key(self.username)
        if self._state.adding and others.filter(Q(lookalike_key=key) | Q(username_key=key)).exists():
            raise ValidationError({"username": USERNAME_LOOKS_TAKEN})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the account, with the keys computed from its name.

        End its sessions if the account is switched off or has no password.
        """
        self.username_key = username_key(self.username)
        if self._state.adding:
            self.lookalike_key = lookalike_key(self.username)
        with transaction.atomic():
            super().save(*args, **kwargs)
            if not (self.is_active and self.has_usable_password()):
                self.end_sessions()

    def end_sessions(self, keep: "Session | None" = None) -> None:
        """End all sessions of the account, except `keep`.

        If the account had at least one such session, record one `session.ended` event.
        """
        others = self.sessions.exclude(pk=keep.pk) if keep else self.sessions.all()
        if others.delete()[0]:
            events.record(Event.SESSION_ENDED, target=self.pk)

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return the name in its NFKC form.

        A name that is too long is returned unchanged, because normalizing it could take seconds.
        """
        too_long = isinstance(username, str) and len(username) > USERNAME_MAX_LENGTH
        return username if too_long else super().normalize_username(username)

    def set_password(self, raw_password: str | None) -> None:
        """Set the password, converted to its NFC form, but do not save the account.

        `users_api.services.set_password` also saves the account, and ends its sessions. Raise `ValidationError` if the
        password is too long.
        """
        super().set_password(raw_password and passwords.normalize(raw_password))
        self.password_set = timezone.now()

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether the password is correct.

        The NFC form of the password is checked first. If it is wrong, and differs from the typed password, the typed
        password is checked too, because earlier releases hashed passwords as typed.
        """
        if raw_password is None or len(raw_password) > passwords.PASSWORD_MAX_LENGTH:
            make_password("")  # so that the response takes as long as for a wrong password
            return False
        check = super().check_password
        return any(check(form) for form in dict.fromkeys([passwords.normalize(raw_password), raw_password]))


class Session(models.Model):
    """A user's session, which lasts from login until it expires or is ended.

    No token is stored.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    # Tokens contain this key and not the id, because the database may reuse an id after a backup is restored.
    key = models.UUIDField(default=uuid4, unique=True, editable=False)
    began = models.DateTimeField(default=timezone.now, editable=False)
    used = models.DateTimeField("last used", default=timezone.now, db_index=True, editable=False)
    ends = models.DateTimeField(db_index=True, editable=False)
    network = models.CharField("from network", max_length=50, blank=True, editable=False)
    device = models.CharField(max_length=50, blank=True, editable=False)
    password_checked = models.DateTimeField(default=timezone.now, editable=False)
    # The number of the session's newest refresh token.
    rotation = models.PositiveBigIntegerField(default=0, editable=False)
    # A pair for each second in which refresh tokens were issued: the second, and the number of the last such token.
    # `users_api.sessions` drops old pairs.
    issued = models.JSONField(default=list, editable=False)

    class Meta:
        ordering = ["-used", "-pk"]

    @property
    def expires(self) -> datetime:
        """Return the time when the session expires if it is not refreshed again."""
        return min(self.ends, self.used + settings.SESSION_IDLE)


class LoginFailure(models.Model):
    """A failed login.

    The name is stored only as a digest, because users sometimes type their password into the field for the name.
    """

    name_digest = models.CharField(max_length=64)
    address = models.GenericIPAddressField(null=True)  # for IPv6, the first address of the /64 network
    # For IPv6, the first address of the /48 network. It is null in rows that the previous release stored.
    site = models.GenericIPAddressField(null=True)
    time = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["name_digest", "time"], name="login_failure_by_account"),
            models.Index(fields=["address", "time"], name="login_failure_by_address"),
            models.Index(fields=["site", "time"], name="login_failure_by_site"),
        ]


class KnownNetwork(models.Model):
    """A network from which an account has logged in.

    `network` is an IPv4 address, or the first address of a /64 IPv6 network. A login from the
    network sets `time` to the current time, at most once a day.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_networks")
    network = models.GenericIPAddressField()
    time = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "network"], name="known_network_once")]


class SignUp(models.Model):
    """An attempt to sign up."""

    address = models.GenericIPAddressField(null=True)  # for IPv6, the first address of the /48 network
    time = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["address", "time"], name="sign_up_by_address")]
