"""Test the template filter `highlight`, which marks the matches of a search."""

import html
import re

import pytest
from django.utils.html import escape
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


REL = 'rel="nofollow ugc noopener"'


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("See https://example.org.", "https://example.org", "See {}."),
        ("HTTP://EXAMPLE.ORG/A", "HTTP://EXAMPLE.ORG/A", "{}"),
        ("https://example.org/a?b=1&c=2#d", "https://example.org/a?b=1&amp;c=2#d", "{}"),
        ("(https://example.org/a)", "https://example.org/a", "({})"),
        ("https://example.org/a_(b)", "https://example.org/a_(b)", "{}"),
        ("(https://example.org/a_(b)).", "https://example.org/a_(b)", "({})."),
        ("[1]: https://example.org/[2]!?", "https://example.org/[2]", "[1]: {}!?"),
        ("https://example.org/,\nnext", "https://example.org/", "{},\nnext"),
        ("“https://example.org”", "https://example.org", "“{}”"),
        ("'https://example.org/it's'", "https://example.org/it&#x27;s", "&#x27;{}&#x27;"),
        ('"https://example.org"', "https://example.org", "&quot;{}&quot;"),
        ("<https://example.org>", "https://example.org", "&lt;{}&gt;"),
        ("<a href=https://example.org/>", "https://example.org/", "&lt;a href={}&gt;"),
        ("https://example.org/読む。", "https://example.org/読む", "{}。"),
        ("https://bücher.example/ä", "https://bücher.example/ä", "{}"),
        ("https://例え.テスト", "https://例え.テスト", "{}"),
        ("https://[::1]:8000/", "https://[::1]:8000/", "{}"),
        ("https://example.org/\u202emoc", "https://example.org/", "{}\u202emoc"),
        ("https://example.org/\u200bx", "https://example.org/", "{}\u200bx"),
        ("https://example.org\\@evil.example", "https://example.org", "{}\\@evil.example"),
        ("https://" + "x" * 240, "https://" + "x" * 240, "{}"),
    ],
)
def test_url_becomes_a_link(text: str, url: str, shown: str) -> None:
    assert highlight(text, "") == shown.format(f'<a href="{url}" {REL}>{url}</a>')


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "javascript://example.org/%0aalert(1)",
        "ftp://example.org",
        "data:text/html,x",
        "example.org",
        "mailto:a@example.org",
        "https://",
        "https://.",
        "https:///path",
        "https://?x",
        "https://[::1",
        "https://example.org:port/",
        "https://example.org:99999/",
        "https://paypal.example@evil.example/",
        "xhttps://example.org",
        "http:/example.org",
    ],
)
def test_other_text_is_not_a_link(text: str) -> None:
    assert highlight(text, "") == escape(text)


def test_matches_inside_and_across_links_are_marked() -> None:
    assert highlight("Tea: https://example.org/tea", "tea") == (
        f'<mark>Tea</mark>: <a href="https://example.org/tea" {REL}>https://example.org/<mark>tea</mark></a>'
    )
    assert highlight("at https://a.example now", "t https") == (
        f'a<mark>t </mark><a href="https://a.example" {REL}><mark>https</mark>://a.example</a> now'
    )
    assert highlight("https://a.example/?q=<b>&x", "&") == (
        f'<a href="https://a.example/?q=" {REL}>https://a.example/?q=</a>&lt;b&gt;<mark>&amp;</mark>x'
    )


def test_two_links_in_a_text() -> None:
    found = highlight("https://a.example, https://b.example", "")
    assert found.count("<a ") == found.count("</a>") == 2


@given(st.text(st.sampled_from("htps:/.a(){}[]<>\"'&@\\ \u202e#?é"), max_size=250), st.text(max_size=5))
def test_links_keep_the_text_and_have_only_safe_addresses(text: str, search: str) -> None:
    found = highlight(f"https://{text} http://{text}", search)
    assert html.unescape(re.sub(r"</?(?:a|mark)(?: [^>]*)?>", "", found)) == f"https://{text} http://{text}"
    for tag in re.findall("<a[^>]*>", found):
        assert re.fullmatch(rf'<a href="https?://[^"<>\s]+" {REL}>', tag)
