from django.apps import AppConfig
from django.contrib.admin import apps as django_admin


class UsersConfig(AppConfig):
    name = "users_api"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"


class AdminConfig(django_admin.AdminConfig):
    default_site = "users_api.admin_site.AdminSite"
    default = False
