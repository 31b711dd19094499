"""Fold text, so that a search ignores letter case and accents in any script.

Each character is folded separately. So if a text contains a substring, the folded text contains the folded substring.
"""

import unicodedata


def fold(text: str) -> str:
    """Return the text in lower case and without accents.

    Every text can be folded. If it is folded already, it stays the same.
    """
    return text.translate(_TABLE)


# The maximum number of cached characters. Without it, a client could fill the cache with all characters of Unicode.
_MAX_CHARACTERS = 8192


class _Table(dict[int, str]):
    """Cache of folded characters by code point, as `str.translate` needs it."""

    def __missing__(self, code_point: int) -> str:
        if len(self) >= _MAX_CHARACTERS:
            self.clear()
        folded = self[code_point] = _fold_character(chr(code_point))
        return folded


_TABLE = _Table()


def _fold_character(character: str) -> str:
    # Convert to upper case first. The dotless i and i have the same capital letter, and so do the long s and s.
    folded = unicodedata.normalize("NFD", character).upper().casefold()
    return "".join(map(_base_letter, unicodedata.normalize("NFD", folded)))


def _base_letter(character: str) -> str:
    """Return the character without its accent, or "" if it is only an accent."""
    category = unicodedata.category(character)
    if category == "Mn" or unicodedata.combining(character):
        return ""
    # Unicode does not decompose some letters with an accent, such as ø and ł. Their names include the base letter.
    base, accent, _ = unicodedata.name(character, "").partition(" WITH ")
    if accent and category == "Ll":
        try:
            return _fold_character(unicodedata.lookup(base))
        except KeyError:
            pass
    return character
