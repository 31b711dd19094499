"""Replace the signing key."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from users_api import rotation
from users_api.key_stores import Folder, Secret, Store, StoreError


class Command(BaseCommand):
    help = (
        "Performs the step that is due, if any, to replace the signing key: publish a new key, sign with it, or remove "
        "the old key. Run this command every few minutes, or once with --now --wait. No user is logged out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("--every", type=int, default=90, help="days between two rotations (default: 90)")
        parser.add_argument("--now", action="store_true", help="begin a rotation now, whatever the age of the key")
        parser.add_argument("--wait", action="store_true", help="wait for all steps, about 22 minutes")
        parser.add_argument(
            "--emergency",
            action="store_true",
            help="replace a leaked key at once. All access tokens expire within 60 s; web renews those of its users",
        )
        parser.add_argument("--secret", help="name of the Secret with the keys (default: the folder TOKENS_KEYS)")
        for name, default in (("published", rotation.PUBLISHED), ("retired", rotation.RETIRED)):
            seconds = int(default.total_seconds())
            parser.add_argument(f"--{name}-for", type=int, default=seconds, help=f"seconds (default: {seconds})")

    def handle(self, *args: Any, **options: Any) -> None:
        """Perform one step, or all steps if --wait is given."""
        store: Store = Secret(options["secret"]) if options["secret"] else Folder(settings.TOKENS_KEYS)
        try:
            if options["emergency"]:
                store.write(rotation.replace(store.read(), datetime.now(UTC)))
                self.stdout.write("a new key signs, and all other keys are removed")
                return
            wait = self._advance(store, options, begin=options["now"])
            while options["wait"] and wait:
                time.sleep(wait.total_seconds())
                wait = self._advance(store, options, begin=False)
        except StoreError as error:
            raise CommandError(str(error)) from None

    def _advance(self, store: Store, options: dict[str, Any], *, begin: bool) -> timedelta | None:
        """Perform the step that is due, if any.

        Return the time until the next step, or None if there is none.
        """
        step = rotation.advance(
            store.read(),
            datetime.now(UTC),
            every=timedelta(0) if begin else timedelta(days=options["every"]),
            published=timedelta(seconds=options["published_for"]),
            retired=timedelta(seconds=options["retired_for"]),
        )
        if step.files is not None:
            store.write(step.files)
        self.stdout.write(step.message)
        return step.wait
