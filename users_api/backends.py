"""Checking a user name and a password, for the API's login and the admin's."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from common.addresses import client_address
from users_api import login_limit
from users_api.models import User


class LimitedBackend(ModelBackend):
    """Django's `ModelBackend`, which takes the same time for a name that does not exist, with a limit on failures."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the user, or None for a wrong pair; raises `users_api.login_limit.TooManyFailures`."""
        if username is None or password is None:
            return None
        username = User.normalize_username(username)
        address = login_limit.origin(client_address(request)) if request else None
        login_limit.check(username, address)
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if not isinstance(user, User):
            login_limit.record(username, address)
            return None
        # Again, for guesses that were on their way at the same time: the right one could be the eleventh.
        if login_limit.check(username, address):
            login_limit.forget(username, address)
        return user
