"""Delete expired rows."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from users_api import login_limit, services, sessions


class Command(BaseCommand):
    help = "Deletes expired API and admin sessions, old login failures, and old sign-ups."

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        counts = {
            "sessions": sessions.delete_expired(now),
            "login failures": login_limit.delete_old(now),
            "sign-ups": services.delete_old_sign_ups(now),
        }
        call_command("clearsessions")
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()) + " deleted")
