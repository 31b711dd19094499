"""Template filters."""

from itertools import groupby

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from common.folding import fold

register = template.Library()


@register.filter
def highlight(text: str, piece: str) -> SafeString:
    """Return the text as HTML with each place marked that search found: whatever its letter case and accents."""
    folded_piece = fold(piece)
    if not folded_piece:
        return escape(text)
    folded = ""
    origin: list[int] = []  # for each folded character, the index of the one it came from
    for index, character in enumerate(text):
        part = fold(character)
        folded += part
        origin += [index] * len(part)

    marked = [False] * len(text)
    marked_to = 0  # so that matches that overlap do not mark the same characters again
    at = folded.find(folded_piece)
    while at != -1:
        end = origin[at + len(folded_piece) - 1] + 1
        for index in range(max(origin[at], marked_to), end):
            marked[index] = True
        marked_to = end
        at = folded.find(folded_piece, at + 1)
    for index in range(1, len(text)):  # accents that follow as characters of their own
        if marked[index - 1] and not fold(text[index]):
            marked[index] = True

    html = ""
    for is_marked, run in groupby(zip(marked, text, strict=True), key=lambda pair: pair[0]):
        part = escape("".join(character for _, character in run))
        html += f"<mark>{part}</mark>" if is_marked else part
    return mark_safe(html)  # noqa: S308
