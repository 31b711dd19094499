"""Text as search compares it: without letter case and without accents, in any script.

Each character is folded by itself, so that the folded form of a piece of a text is always a piece of
the folded form of the text, wherever it was cut, on every database.
"""

import unicodedata


def fold(text: str) -> str:
    """Return the text without letter case and accents; never fails, and folding twice changes nothing."""
    return text.translate(_TABLE)


# More than the letters of any one language; a client could send all of Unicode.
_MAX_CHARACTERS = 8192


class _Table(dict[int, str]):
    def __missing__(self, code_point: int) -> str:
        if len(self) >= _MAX_CHARACTERS:
            self.clear()
        folded = self[code_point] = _fold_character(chr(code_point))
        return folded


_TABLE = _Table()


def _fold_character(character: str) -> str:
    # Through upper case, because some letters meet only there: the dotless i and i, the long s and s.
    folded = unicodedata.normalize("NFD", character).upper().casefold()
    return "".join(map(_base_letter, unicodedata.normalize("NFD", folded)))


def _base_letter(character: str) -> str:
    """Return the letter below an accent, "" for an accent alone, and any other character as it is."""
    category = unicodedata.category(character)
    if category == "Mn" or unicodedata.combining(character):
        return ""
    # The letters of which Unicode keeps the accent in one piece, such as ø and ł.
    base, accent, _ = unicodedata.name(character, "").partition(" WITH ")
    if accent and category == "Ll":
        try:
            return _fold_character(unicodedata.lookup(base))
        except KeyError:
            pass
    return character
