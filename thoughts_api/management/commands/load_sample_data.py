"""Create the sample thoughts."""

from typing import Any

from django.core.management.base import BaseCommand

from thoughts_api.models import Thought

SAMPLE = [
    ("bruce", "A good plan today beats a perfect one next week."),
    ("stephen", "Tea first. Then the difficult conversation."),
    ("bruce", "The café on the corner closed; the smell of coffee stayed. ☕"),
    ("stephen", "Łódź is pronounced nothing like it looks, and I love it for that."),
    ("stephen", "Reading old letters: everyone was always just about to write more."),
    ("bruce", "猫は窓辺で夢を見る。"),
    ("stephen", "Slept 100 % of the night for once."),
    ("bruce", "If you can say it in one sentence, say it in one sentence."),
]


class Command(BaseCommand):
    help = "Create the sample thoughts, unless thoughts exist."

    def handle(self, *args: Any, **options: Any) -> None:
        if not Thought.objects.exists():
            for username, text in SAMPLE:
                Thought.objects.create(username=username, text=text)
            self.stdout.write(f"Created {len(SAMPLE)} thoughts.")
