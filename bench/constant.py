"""The least that a Django service can do: one view that answers with a constant, no middleware, no database."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

THOUGHT = {"id": 1, "username": "bruce", "text": "A thought.", "timestamp": "2026-01-01T00:00:00Z"}


def constant(request: HttpRequest) -> JsonResponse:
    """Answer with an array of one thought."""
    return JsonResponse([THOUGHT], safe=False)


urlpatterns = [path("", constant)]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[], USE_TZ=True)
application = get_wsgi_application()
