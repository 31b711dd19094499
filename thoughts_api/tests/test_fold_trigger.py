"""Test the trigger that corrects rows from the previous release.

conftest.py excludes this file on SQLite.
"""

import sys
from importlib import import_module

import pytest
from django.db import connection

from common.folding import IGNORABLE, fold
from thoughts_api.models import Thought
from thoughts_api.tests.test_fold_again import written_by_the_previous_release

pytestmark = pytest.mark.django_db

# PostgreSQL cannot store NUL or lone surrogates.
CHARACTERS = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
CHANGED = [each for each in CHARACTERS if each.isspace() or any(ord(each) in codes for codes in IGNORABLE)]


def test_row_from_the_previous_release_is_corrected() -> None:
    texts = ["a".join(CHANGED[start : start + 125]) for start in range(0, len(CHANGED), 125)]
    written_by_the_previous_release(*texts)
    assert [thought.folded for thought in Thought.objects.order_by("id")] == list(map(fold, texts))
    # The trigger also corrects an update.
    thought = Thought.objects.earliest("id")
    Thought.objects.filter(id=thought.id).update(folded="a\u200bb\u00a0c")
    thought.refresh_from_db()
    assert thought.folded == "ab c"


def test_trigger_ignores_other_characters() -> None:
    migration = import_module("thoughts_api.migrations.0004_fold_again")
    others = "".join(set(CHARACTERS) - set(CHANGED))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s ~ '[{migration.IGNORABLE}{migration.SPACES}]'", [others])
        assert cursor.fetchone() == (False,)
