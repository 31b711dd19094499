from typing import Any

from django.core.management.base import BaseCommand

from notes_api.models import Note

SAMPLE = [
    ("bruce", "The first of the samples."),
    ("stephen", "The second of the samples."),
]


class Command(BaseCommand):
    help = "Write samples, unless the table has rows already."

    def handle(self, *args: Any, **options: Any) -> None:
        if not Note.objects.exists():
            for username, text in SAMPLE:
                Note.objects.create(username=username, text=text)
            self.stdout.write(f"wrote {len(SAMPLE)} rows")
