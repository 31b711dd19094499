"""Sample thoughts, which exist only where they were asked for."""

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from thoughts_api.models import Thought


@pytest.mark.django_db
def test_sample_thoughts_are_written_once_and_can_be_searched(anyone: APIClient) -> None:
    assert anyone.get("/api/thoughts/").json() == []
    for _ in range(2):
        call_command("load_sample_data", verbosity=0)
        thoughts = anyone.get("/api/thoughts/").json()
        assert len(thoughts) == 8
        assert {thought["username"] for thought in thoughts} == {"bruce", "stephen"}
    assert len(anyone.get("/api/thoughts/", {"search": "LODZ"}).json()) == 1


@pytest.mark.django_db
def test_sample_thoughts_do_not_come_to_real_ones(anyone: APIClient) -> None:
    Thought.objects.create(username="someone", text="Real")
    call_command("load_sample_data", verbosity=0)
    assert len(anyone.get("/api/thoughts/").json()) == 1
