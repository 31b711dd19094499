from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from common.http.urls import path
from notes_api import views

urlpatterns = [
    path("api/notes/", views.NoteListView.as_view(), name="note-list"),
    path("api/notes/<int:pk>/", views.NoteDetailView.as_view(), name="note-detail"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="swagger"),
]

handler400 = "common.api.errors.bad_request"
handler404 = "common.api.errors.not_found"
handler500 = "common.api.errors.server_error"
