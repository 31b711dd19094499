from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from common.tests import views
from common.urls import path


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a fault of ours")


urlpatterns: list[URLPattern] = [
    path("open/", views.Open.as_view()),
    path("echo/", views.Echo.as_view()),
    path("me/", views.Me.as_view()),
    path("staff/", views.Staff.as_view()),
    path("items/<int:id>/", views.Item.as_view()),
    path("file.json", views.Open.as_view()),
    path("raise/<str:name>/", views.Raise.as_view()),
    path("boom/", boom),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", SpectacularSwaggerView.as_view(url_name="schema")),
]

handler400 = "common.errors.bad_request"
handler404 = "common.errors.not_found"
handler500 = "common.errors.server_error"
