"""Fold text for search: remove letter case and accents, in any script.

Each character is folded separately. So a folded substring is always a substring of the folded text, on every database.
"""

import unicodedata


def fold(text: str) -> str:
    """Return the text without letter case and accents. Never fails; idempotent."""
    return text.translate(_TABLE)


# Limits the cache: a client could send every character of Unicode. No language has this many letters.
_MAX_CHARACTERS = 8192


class _Table(dict[int, str]):
    def __missing__(self, code_point: int) -> str:
        if len(self) >= _MAX_CHARACTERS:
            self.clear()
        folded = self[code_point] = _fold_character(chr(code_point))
        return folded


_TABLE = _Table()


def _fold_character(character: str) -> str:
    # Through upper case: only there are the dotless i and i, or the long s and s, the same letter.
    folded = unicodedata.normalize("NFD", character).upper().casefold()
    return "".join(map(_base_letter, unicodedata.normalize("NFD", folded)))


def _base_letter(character: str) -> str:
    """Return the character without its accent, "" for a lone accent."""
    category = unicodedata.category(character)
    if category == "Mn" or unicodedata.combining(character):
        return ""
    # Unicode does not decompose some letters with an accent, such as ø and ł.
    base, accent, _ = unicodedata.name(character, "").partition(" WITH ")
    if accent and category == "Ll":
        try:
            return _fold_character(unicodedata.lookup(base))
        except KeyError:
            pass
    return character
