"""The template filter `highlight`, which marks the matches of a search."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from common.folding import fold
from web.templatetags.thoughts import highlight


def test_match_is_marked_regardless_of_case_and_accents() -> None:
    assert highlight("Ein Café", "CAFE") == "Ein <mark>Café</mark>"
    assert highlight("Straße", "ss") == "Stra<mark>ß</mark>e"


def test_match_across_invisible_characters_and_unusual_spaces_is_marked() -> None:
    assert highlight("\u200bco\u00adffee!", "coffee") == "\u200b<mark>co\u00adffee</mark>!"
    assert highlight("Bonjour\u00a0!", "bonjour !") == "<mark>Bonjour\u00a0!</mark>"
    assert highlight("Bonjour !", "r\u00a0!\ufeff") == "Bonjou<mark>r !</mark>"
    assert highlight("one\u200b two", "e t") == "on<mark>e\u200b t</mark>wo"


def test_search_for_invisible_characters_alone_marks_nothing() -> None:
    assert highlight("co\u00adffee", "\u00ad\u200b") == "co\u00adffee"


def test_overlapping_matches_are_one_mark() -> None:
    assert highlight("a" * 250, "a" * 125) == f"<mark>{'a' * 250}</mark>"
    assert highlight("banana", "ana") == "b<mark>anana</mark>"
    assert highlight("ﬃﬃ", "fif") == "<mark>ﬃﬃ</mark>"


def test_markup_in_a_text_is_escaped() -> None:
    assert highlight("100% <b>", "<") == "100% <mark>&lt;</mark>b&gt;"


@given(st.text(), st.text(max_size=3))
def test_highlighting_changes_nothing_but_the_marks(text: str, search: str) -> None:
    assert html.unescape(re.sub("</?mark>", "", highlight(text, search))) == html.unescape(html.escape(text))


@given(st.text("aáßsﬃ \u00a0", max_size=12), st.text("aasfi ", min_size=1, max_size=4))
def test_all_matches_and_no_other_characters_are_marked(text: str, search: str) -> None:
    folded = "".join(map(fold, text))
    origin = [index for index, character in enumerate(text) for _ in fold(character)]
    starts = [at for at in range(len(folded)) if folded.startswith(search, at)]
    expected = {origin[at + offset] for at in starts for offset in range(len(search))}

    marked, index, inside = set(), 0, False
    for token in re.findall("</?mark>|.", highlight(text, search)):
        if len(token) > 1:
            inside = token == "<mark>"
        else:
            marked |= {index} if inside else set()
            index += 1
    assert marked == expected
