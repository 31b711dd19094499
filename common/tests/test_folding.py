"""Test how text is folded for search."""

import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common import folding
from common.folding import fold

# This strategy also generates lone surrogates, because `fold` must accept every text.
any_text = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hello", "hello"),
        ("ÄRGER", "arger"),
        ("ärger", "arger"),
        ("a\u0308rger", "arger"),
        ("Straße", "strasse"),
        ("STRASSE", "strasse"),
        ("Øre Łódź", "ore lodz"),
        ("Crème Brûlée", "creme brulee"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
        ("Ёлка", "елка"),
        ("İstanbul", "istanbul"),
        ("ısı", "isi"),
        ("ſ", "s"),
        ("日本語", "日本語"),
        ("😀", "😀"),
        ("100% _ \\ '", "100% _ \\ '"),
        ("", ""),
    ],
)
def test_letter_case_and_accents_do_not_matter(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize("invisible", list("\u00ad\u200b\u200c\u200d\ufeff\u2060\u202e\u061c\u3164\ufe0f\U000e0041"))
def test_invisible_characters_do_not_matter(invisible: str) -> None:
    assert fold(f"co{invisible}ffee{invisible}") == "coffee"
    assert fold(invisible) == ""


def test_visible_format_characters_stay() -> None:
    # The Arabic number sign and the interlinear annotation anchor are format characters, but not ignorable.
    assert fold("\u0600\ufff9") == "\u0600\ufff9"


def test_every_space_is_the_same() -> None:
    assert fold("Bonjour\u00a0!") == "bonjour !"
    spaces = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()]
    assert len(spaces) == 29
    assert {fold(space) for space in spaces} == {" "}


def test_upper_and_lower_case_of_each_character_fold_to_the_same_text() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        folded = fold(character)
        assert fold(folded) == fold(character.upper()) == fold(character.lower()) == folded


def test_folding_caches_a_limited_number_of_characters() -> None:
    for start in range(0, sys.maxunicode, 250):
        fold("".join(map(chr, range(start, min(start + 250, sys.maxunicode + 1)))))
        assert len(folding._TABLE) <= 8192
    assert fold("Größe") == "grosse"


@given(any_text)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(any_text, any_text, any_text)
def test_folded_substring_is_in_the_folded_text(before: str, substring: str, after: str) -> None:
    assert fold(substring) in fold(before + substring + after)
    assert fold(before) + fold(substring) == fold(before + substring)


@given(any_text)
def test_letter_case_never_matters(text: str) -> None:
    for character in text:
        assert fold(character.upper()) == fold(character.lower()) == fold(character.swapcase()) == fold(character)


@given(any_text)
@example("ᾳ")
def test_accents_never_matter(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    # The Greek iota subscript is not an accent, because in upper case it becomes a letter.
    iota = "\N{COMBINING GREEK YPOGEGRAMMENI}"
    bare = "".join(each for each in decomposed if each == iota or not unicodedata.combining(each))
    assert fold(bare) == fold(decomposed) == fold(text)
