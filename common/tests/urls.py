from django.core import exceptions as django_exceptions
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.urls import URLPattern
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from common.http.urls import path
from common.tests import views
from common.tests.settings import LARGE


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a fault of ours")


def large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * LARGE, content_type="text/plain")


def outside(request: HttpRequest) -> HttpResponse:
    raise views.STATEMENT_TIMEOUT


def refuse(request: HttpRequest, name: str) -> HttpResponse:
    classes = {**vars(django_exceptions), "Http404": Http404, "MultiPartParserError": MultiPartParserError}
    raise classes[name]("%s of the client\nERROR django.request a line of the client's own")


urlpatterns: list[URLPattern] = [
    path("open/", views.Open.as_view()),
    path("echo/", views.Echo.as_view()),
    path("fields/", views.Fields.as_view()),
    path("me/", views.Me.as_view()),
    path("staff/", views.Staff.as_view()),
    path("replace/", views.Replace.as_view()),
    path("pages/", views.Pages.as_view()),
    path("items/<int:id>/", views.Item.as_view()),
    path("file.json", views.Open.as_view()),
    path("refuse/<str:name>/", refuse),
    path("raise/outside/", outside),
    path("raise/<str:name>/", views.Raise.as_view()),
    path("boom/", boom),
    path("large/", large),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", SpectacularSwaggerSplitView.as_view(url_name="schema")),
]

handler400 = "common.api.errors.bad_request"
handler403 = "common.api.errors.forbidden"
handler404 = "common.api.errors.not_found"
handler500 = "common.api.errors.server_error"
