"""Test the command that creates the sample users."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from users_api.models import User


@pytest.mark.django_db
def test_sample_users_can_log_in_and_a_second_run_changes_nothing(log_in: Callable[..., Any]) -> None:
    call_command("load_sample_data")
    User.objects.filter(username="bruce").update(is_active=False)
    call_command("load_sample_data")
    users = list(User.objects.values_list("username", "is_staff", "is_superuser", "is_active"))
    assert users == [("admin", True, True, True), ("bruce", False, False, False), ("stephen", False, False, True)]
    assert log_in("stephen", "stephen").status_code == 200
    assert log_in("admin", "admin").status_code == 200
