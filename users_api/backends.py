"""The authentication backend for logins to the API and to the admin."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from common import events
from common.events import Event
from common.http.addresses import client_address
from users_api import login_limit
from users_api.models import USERNAME_MAX_LENGTH, User


class LimitedBackend(ModelBackend):
    """Django's `ModelBackend`, with limits on failed logins.

    A login takes the same time with an unknown name as with a wrong password. So its duration does not reveal which
    names exist.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the user, or None if the name or password is wrong.

        Raise `users_api.login_limit.TooManyFailures` if too many logins have failed.
        """
        if username is None or password is None:
            return None
        username = User.normalize_username(username)
        address = client_address(request) if request else ""
        login_limit.check(username, address)
        exists = len(username) <= USERNAME_MAX_LENGTH
        # For an unknown name, check the password of an empty account, which takes the same time.
        user = (User.objects.filter(username=username).first() if exists else None) or User()
        if not (user.check_password(password) and self.user_can_authenticate(user)):
            events.record(Event.LOGIN_FAILED, target=user.pk)
            login_limit.record(username, address)
            return None
        # Check the limits again. Concurrent wrong guesses may have reached a limit before this correct one.
        if login_limit.check(username, address):
            login_limit.forget(username, address)
        login_limit.remember(user, address)
        return user
