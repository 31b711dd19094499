"""Template filters."""

from itertools import groupby

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from common.folding import fold

register = template.Library()


@register.filter
def highlight(text: str, search: str) -> SafeString:
    """Return the text as HTML, with each match of the search in `<mark>`.

    Like the search of thoughts_api, the filter ignores letter case and accents.
    """
    folded_search = fold(search)
    if not folded_search:
        return escape(text)
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

    html = ""
    for is_marked, run in groupby(zip(marked, text, strict=True), key=lambda pair: pair[0]):
        part = escape("".join(character for _, character in run))
        html += f"<mark>{part}</mark>" if is_marked else part
    return mark_safe(html)  # noqa: S308
