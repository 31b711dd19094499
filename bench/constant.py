"""The least that a Django service can do: views that answer with a constant, no middleware, no database."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

THOUGHT = {"id": 1, "username": "bruce", "text": "A thought.", "timestamp": "2026-01-01T00:00:00Z"}
PAGE = "<!DOCTYPE html><title>Constant</title><ul>" + "<li>A thought that is always the same.</li>" * 100 + "</ul>"


def constant(request: HttpRequest) -> JsonResponse:
    """Answer with an array of one thought."""
    return JsonResponse([THOUGHT], safe=False)


def template(request: HttpRequest) -> HttpResponse:
    """Answer with a page of 4 kB, from a template without variables."""
    return render(request, "constant.html")


urlpatterns = [path("", constant), path("template", template)]
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
application = get_wsgi_application()
