"""Set the password of an account, and end its sessions."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.db import transaction

from common import events
from common.events import Event
from users_api.models import User


class Command(changepassword.Command):
    """Django's `changepassword` command, extended to end the account's sessions."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        with transaction.atomic():
            message: str | None = super().handle(*args, **options)
            user = User.objects.get_by_natural_key(options["username"] or getpass.getuser())
            user.end_sessions()
        events.record(Event.PASSWORD_CHANGED, target=user.pk)
        return message
