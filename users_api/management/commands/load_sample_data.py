"""Create the sample users."""

from typing import Any

from django.core.management.base import BaseCommand

from users_api.models import User


class Command(BaseCommand):
    help = "Creates the users bruce and stephen and the staff user admin (password = name), if they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        for username in ("bruce", "stephen", "admin"):
            if not User.objects.filter(username=username).exists():
                create = User.objects.create_superuser if username == "admin" else User.objects.create_user
                create(username, username)
                self.stdout.write(f"created {username}")
