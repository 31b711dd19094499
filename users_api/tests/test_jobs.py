"""Test that the commands of CronJobs work without the secret key.

The pods of the CronJobs do not have this key.
"""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings

from users_api.tests.conftest import write_key


@pytest.mark.parametrize("command", [["flush_expired"], ["rotate_keys"], ["rotate_keys", "--emergency"]])
def test_cron_job_does_not_use_the_secret_key(db: None, settings: Settings, tmp_path: Path, command: list[str]) -> None:
    write_key(tmp_path / "signing.pem")
    settings.TOKENS_KEYS = tmp_path
    settings.SECRET_KEY = ""  # now, Django raises an exception when code reads this setting
    call_command(*command)
    with pytest.raises(ImproperlyConfigured):
        assert settings.SECRET_KEY
