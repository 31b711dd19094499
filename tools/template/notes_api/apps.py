from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "notes_api"
    default_auto_field = "django.db.models.BigAutoField"
