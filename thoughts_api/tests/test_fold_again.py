"""Test that migration 0004 folds stored texts again."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.core.management import call_command

from common.folding import IGNORABLE, fold
from thoughts_api.models import Thought

TEXTS = ["Bonjour\u00a0!", "co\u00adffee", "\u200b", "one\ntwo", "👩\u200d👧", "plain"]


@pytest.fixture
def migrate(transactional_db: None) -> Callable[[str], object]:
    """Return a function that migrates thoughts_api."""
    return lambda name: call_command("migrate", "thoughts_api", name, verbosity=0)


def written_by_the_previous_release(*texts: str) -> None:
    """Store thoughts with the folding of the previous release.

    That folding kept invisible characters and all kinds of spaces.
    """
    Thought.objects.bulk_create(
        Thought(username="bruce", text=text, folded="".join(map(old_fold, text))) for text in texts
    )


def old_fold(character: str) -> str:
    kept = character.isspace() or any(ord(character) in each for each in IGNORABLE)
    return character if kept else fold(character)


def test_stored_texts_are_folded_again(migrate: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    migration = import_module("thoughts_api.migrations.0004_fold_again")
    monkeypatch.setattr(migration, "BATCH", 2)
    migrate("0003")
    written_by_the_previous_release(*TEXTS)
    before = Thought.objects.get(text="plain")
    migrate("0004")
    assert list(Thought.objects.order_by("id").values_list("text", "folded")) == [(text, fold(text)) for text in TEXTS]
    assert Thought.objects.get(text="plain") == before


def test_interrupted_migration_continues(migrate: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    migration = import_module("thoughts_api.migrations.0004_fold_again")
    monkeypatch.setattr(migration, "BATCH", 2)
    migrate("0003")
    written_by_the_previous_release(*TEXTS)

    def fail_at_the_third(text: str) -> str:
        if text == TEXTS[2]:
            raise KeyboardInterrupt
        return fold(text)

    monkeypatch.setattr(migration, "fold", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        migrate("0004")
    # The first batch is stored.
    assert Thought.objects.get(text=TEXTS[1]).folded == "coffee"
    assert Thought.objects.get(text=TEXTS[3]).folded == "one\ntwo"
    monkeypatch.setattr(migration, "fold", fold)
    migrate("0004")
    assert [thought.folded for thought in Thought.objects.order_by("id")] == list(map(fold, TEXTS))
