"""Storage for Django messages."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage


class PrefixedCookieStorage(CookieStorage):
    """Django's cookie storage.

    The name of its cookie begins with the value of COOKIE_PREFIX.
    """

    cookie_name = f"{settings.COOKIE_PREFIX}messages"
