from typing import Any

from django.core.management.base import BaseCommand

from notes_api.models import Note

SAMPLE = [
    ("bruce", "The first sample."),
    ("stephen", "The second sample."),
]


class Command(BaseCommand):
    help = "Create sample notes, unless notes exist."

    def handle(self, *args: Any, **options: Any) -> None:
        if not Note.objects.exists():
            for username, text in SAMPLE:
                Note.objects.create(username=username, text=text)
            self.stdout.write(f"Created {len(SAMPLE)} notes.")
