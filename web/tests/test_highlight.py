"""Marking what search found."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from web.templatetags.thoughts import highlight


def test_a_match_is_marked_whatever_its_case_and_accents() -> None:
    assert highlight("Ein Café", "CAFE") == "Ein <mark>Café</mark>"
    assert highlight("Straße", "ss") == "Stra<mark>ß</mark>e"


def test_markup_in_a_text_is_escaped() -> None:
    assert highlight("100% <b>", "<") == "100% <mark>&lt;</mark>b&gt;"


@given(st.text(), st.text(max_size=3))
def test_the_text_stays_the_same_without_its_marks(text: str, piece: str) -> None:
    assert html.unescape(re.sub("</?mark>", "", highlight(text, piece))) == html.unescape(html.escape(text))
