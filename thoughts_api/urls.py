from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from common.http.urls import path
from thoughts_api import views

urlpatterns = [
    path("api/thoughts/", views.ThoughtsView.as_view(), name="thoughts"),
    path("api/thoughts/<int:id>/", views.ThoughtView.as_view(), name="thought"),
    path("api/me/thoughts/", views.MyThoughtsView.as_view(), name="my-thoughts"),
    path("api/me/thoughts/<int:id>/", views.MyThoughtView.as_view(), name="my-thought"),
    path("admin/thoughts/<int:id>/", views.AdminThoughtView.as_view(), name="admin-thought"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="swagger"),
]

handler400 = "common.api.errors.bad_request"
handler404 = "common.api.errors.not_found"
handler500 = "common.api.errors.server_error"
