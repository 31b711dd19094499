from common.http.urls import path
from web import views

urlpatterns = [
    path("", views.thoughts, name="home"),
    path("thoughts/", views.thoughts, name="thoughts"),
    path("thoughts/new", views.new_thought, name="new-thought"),
    path("thoughts/<int:id>/delete", views.delete_thought, name="delete-thought"),
    path("search", views.search, name="search"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
]

handler400 = "web.views.bad_request"
handler404 = "web.views.not_found"
handler500 = "web.views.server_error"
