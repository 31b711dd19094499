from django.contrib import admin
from django.urls import path as prefix
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from common.http.urls import path
from users_api import views

urlpatterns = [
    path("api/login/", views.LoginView.as_view(), name="login"),
    path("api/token/refresh/", views.TokenRefreshView.as_view(), name="token-refresh"),
    path("api/logout/", views.LogoutView.as_view(), name="logout"),
    path("api/sessions/", views.SessionsView.as_view(), name="sessions"),
    path("api/sessions/<int:id>/", views.SessionView.as_view(), name="session"),
    path("api/password/", views.PasswordView.as_view(), name="password"),
    path("api/users/", views.SignUpView.as_view(), name="sign-up"),
    path("admin/users/", views.UsersView.as_view(), name="users"),
    path(".well-known/jwks.json", views.JWKSView.as_view(), name="jwks"),
    path("api/status/", views.StatusView.as_view(), name="status"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="swagger"),
    path("admin/", admin.site.admin_view(admin.site.index)),
    prefix("admin/", admin.site.urls),
]

handler400 = "users_api.errors.bad_request"
handler403 = "users_api.errors.forbidden"
handler404 = "users_api.errors.not_found"
handler500 = "users_api.errors.server_error"
