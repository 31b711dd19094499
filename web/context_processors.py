"""Variables that all templates have."""

from django.conf import settings
from django.http import HttpRequest


def links(request: HttpRequest) -> dict[str, str]:
    """Return the public URLs of the APIs and of the admin.

    A URL that is not set is "".

    https://docs.djangoproject.com/en/5.2/ref/templates/api/#writing-your-own-context-processors
    """
    return {
        "thoughts_api_url": settings.THOUGHTS_PUBLIC_URL,
        "users_api_url": settings.USERS_PUBLIC_URL,
        "admin_url": f"{settings.ADMIN_PUBLIC_URL}/admin/" if settings.ADMIN_PUBLIC_URL else "",
    }
