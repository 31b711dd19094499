from django.apps import AppConfig


class ThoughtsConfig(AppConfig):
    name = "thoughts_api"
    default_auto_field = "django.db.models.BigAutoField"
