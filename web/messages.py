"""Where messages wait for the next page."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage


class PrefixedCookieStorage(CookieStorage):
    """Django's, in a cookie of this installation."""

    cookie_name = f"{settings.COOKIE_PREFIX}messages"
