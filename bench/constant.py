"""A minimal Django service for comparison.

It has constant responses, no middleware and no database.
"""

from argon2 import PasswordHasher
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

THOUGHT = {"id": 1, "username": "bruce", "text": "A thought.", "timestamp": "2026-01-01T00:00:00Z"}
PAGE = "<!DOCTYPE html><title>Constant</title><ul>" + "<li>A thought that is always the same.</li>" * 100 + "</ul>"


def constant(request: HttpRequest) -> JsonResponse:
    """Return an array of one thought."""
    return JsonResponse([THOUGHT], safe=False)


def template(request: HttpRequest) -> HttpResponse:
    """Return a page of 4 kB, from a template without variables."""
    return render(request, "constant.html")


def argon2(request: HttpRequest) -> JsonResponse:
    """Verify a password with Argon2id, with the same parameters as users_api."""
    return JsonResponse(HASHER.verify(HASH, "bruce"), safe=False)


urlpatterns = [path("", constant), path("template", template), path("argon2", argon2)]
MEMORY = ("django.template.loaders.locmem.Loader", {"constant.html": PAGE})
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    USE_TZ=True,
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.cached.Loader", [MEMORY])]},
        },
    ],
)

from users_api.hashers import Argon2idPasswordHasher as Cost  # noqa: E402 - Django's hashers need settings

HASHER = PasswordHasher(Cost.time_cost, Cost.memory_cost, Cost.parallelism)
HASH = HASHER.hash("bruce")
application = get_wsgi_application()
