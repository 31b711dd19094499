"""Test the management command that creates the sample thoughts."""

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from thoughts_api.models import Thought


@pytest.mark.django_db
def test_sample_thoughts_are_created_once_and_found(anonymous: APIClient) -> None:
    assert anonymous.get("/api/thoughts/").json() == []
    for _ in range(2):
        call_command("load_sample_data", verbosity=0)
        thoughts = anonymous.get("/api/thoughts/").json()
        assert len(thoughts) == 8
        assert {thought["username"] for thought in thoughts} == {"bruce", "stephen"}
    assert len(anonymous.get("/api/thoughts/", {"search": "LODZ"}).json()) == 1


@pytest.mark.django_db
def test_sample_thoughts_are_not_added_to_real_ones(anonymous: APIClient) -> None:
    Thought.objects.create(username="someone", text="Real")
    call_command("load_sample_data", verbosity=0)
    assert len(anonymous.get("/api/thoughts/").json()) == 1
