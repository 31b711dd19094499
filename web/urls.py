from common.http.urls import path
from web import views

urlpatterns = [
    path("", views.thoughts, name="home"),
    path("thoughts/", views.thoughts, name="thoughts"),
    path("thoughts/new", views.new_thought, name="new-thought"),
    path("thoughts/<int:id>", views.thought, name="thought"),
    path("thoughts/<int:id>/delete", views.delete_thought, name="delete-thought"),
    path("@<str:name>", views.author, name="author"),
    path("search", views.search, name="search"),
    path("status", views.status, name="status"),
    path("account/", views.account, name="account"),
    path("account/password", views.change_password, name="change-password"),
    path("account/sessions/delete", views.end_other_sessions, name="end-other-sessions"),
    path("account/sessions/<int:id>/delete", views.end_session, name="end-session"),
    path("account/logout-everywhere", views.log_out_everywhere, name="log-out-everywhere"),
    path("signup/", views.sign_up, name="sign-up"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
]

handler400 = "web.views.bad_request"
handler404 = "web.views.not_found"
handler500 = "web.views.server_error"
