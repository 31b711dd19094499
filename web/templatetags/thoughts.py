"""Template filters."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby, takewhile
from urllib.parse import urlsplit

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from common.folding import fold

register = template.Library()

LINK = re.compile(r"\bhttps?://[^\s<>\"\\]+", re.IGNORECASE)
ISOLATES = dict.fromkeys(range(0x2066, 0x206A))  # the characters that begin or end an isolate, for str.translate()
BRACKETS = {")": "(", "]": "[", "}": "{"}


@register.filter
def highlight(text: str, search: str) -> SafeString:
    """Return the text as HTML, with http(s) links and with search matches in `<mark>`.

    Like the search of thoughts_api, the filter ignores letter case and accents.
    """
    folded_search = fold(search)
    if not folded_search and "://" not in text:
        return escape(text)
    marked = _marked(text, folded_search) if folded_search else [False] * len(text)
    html = ""
    end = 0
    for start, url in _links(text):
        html += _marked_html(text[end:start], marked[end:start])
        end = start + len(url)
        html += f'<a href="{escape(url)}" rel="nofollow ugc noopener">{_marked_html(url, marked[start:end])}</a>'
    return mark_safe(html + _marked_html(text[end:], marked[end:]))  # noqa: S308


@register.filter
def isolate(text: str) -> str:
    """Return the text between U+2068 and U+2069, which isolate the text's direction.

    Without these characters, a right-to-left text would reorder the surrounding text. Use this filter where HTML allows
    no `<bdi>`, such as in `<title>`. See Unicode Standard Annex #9, section 2.4. The filter removes isolate
    characters from the text itself. Otherwise, a U+2069 in the text would end the isolate early.
    """
    return f"\u2068{text.translate(ISOLATES)}\u2069"


def _marked(text: str, folded_search: str) -> list[bool]:
    """Return for each character whether it belongs to a match."""
    folded = ""
    origin: list[int] = []  # for each folded character, the index of the character in `text` that it comes from
    for index, character in enumerate(text):
        part = fold(character)
        folded += part
        origin += [index] * len(part)

    marked = [False] * len(text)
    marked_to = 0  # the end of the last match; overlapping matches do not mark a character again
    at = folded.find(folded_search)
    while at != -1:
        end = origin[at + len(folded_search) - 1] + 1
        for index in range(max(origin[at], marked_to), end):
            marked[index] = True
        marked_to = end
        at = folded.find(folded_search, at + 1)
    for index in range(1, len(text)):  # also mark combining accents that follow a match
        if marked[index - 1] and not fold(text[index]):
            marked[index] = True
    return marked


def _marked_html(text: str, marked: list[bool]) -> str:
    """Escape the text, and put its marked characters in `<mark>`."""
    html = ""
    for is_marked, run in groupby(zip(marked, text, strict=True), key=lambda pair: pair[0]):
        part = escape("".join(character for _, character in run))
        html += f"<mark>{part}</mark>" if is_marked else part
    return html


def _links(text: str) -> Iterator[tuple[int, str]]:
    """Yield the http(s) URLs in a text, each with its position."""
    for match in LINK.finditer(text):
        # Invisible characters, such as those that change the text direction, could disguise the address.
        url = _without_punctuation("".join(takewhile(str.isprintable, match[0])))
        if _is_linkable(url):
            yield match.start(), url


def _without_punctuation(url: str) -> str:
    """Remove trailing punctuation from a URL, but keep matched closing brackets."""
    while url and unicodedata.category(url[-1]).startswith("P") and url[-1] not in "/-_#%&@*":
        opening = BRACKETS.get(url[-1])
        if opening and url.count(url[-1]) <= url.count(opening):
            break
        url = url[:-1]
    return url


def _is_linkable(url: str) -> bool:
    """Return whether the URL has a host and no user name.

    A user name could look like a host.
    """
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:  # for example an incomplete IPv6 address, or an impossible port
        return False
