"""Template filters."""

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

    html = ""
    done = 0
    at = folded.find(folded_piece)
    while at != -1:
        start = max(origin[at], done)
        end = origin[at + len(folded_piece) - 1] + 1
        while end < len(text) and not fold(text[end]):  # accents that follow as characters of their own
            end += 1
        if end > start:
            html += f"{escape(text[done:start])}<mark>{escape(text[start:end])}</mark>"
            done = end
        at = folded.find(folded_piece, at + len(folded_piece))
    return mark_safe(html + escape(text[done:]))  # noqa: S308
