"""Storage of flash messages."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage


class PrefixedCookieStorage(CookieStorage):
    """Django's cookie storage, with this installation's cookie prefix."""

    cookie_name = f"{settings.COOKIE_PREFIX}messages"
