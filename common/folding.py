"""Fold text so that searches ignore letter case, accents and invisible characters.

Each character is folded separately. So if a text contains a substring, the folded text contains the folded substring.
"""

import unicodedata


def fold(text: str) -> str:
    """Return the text in lower case, without accents or invisible characters.

    Each space becomes U+0020. Line breaks and tabs count as spaces, as in `str.isspace`.

    Every text can be folded. Folding a text twice gives the same result as folding it once.
    """
    return text.translate(_TABLE)


# The property Default_Ignorable_Code_Point of Unicode 15.1, such as the soft hyphen, zero-width spaces and joiners.
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
IGNORABLE = (
    range(0x00AD, 0x00AE),
    range(0x034F, 0x0350),
    range(0x061C, 0x061D),
    range(0x115F, 0x1161),
    range(0x17B4, 0x17B6),
    range(0x180B, 0x1810),
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2070),
    range(0x3164, 0x3165),
    range(0xFE00, 0xFE10),
    range(0xFEFF, 0xFF00),
    range(0xFFA0, 0xFFA1),
    range(0xFFF0, 0xFFF9),
    range(0x1BCA0, 0x1BCA4),
    range(0x1D173, 0x1D17B),
    range(0xE0000, 0xE1000),
)

# The maximum number of cached characters. Without it, a client could fill the cache with every Unicode character.
_MAX_CHARACTERS = 8192


class _Table(dict[int, str]):
    """Cache that maps code points to folded characters, for `str.translate`."""

    def __missing__(self, code_point: int) -> str:
        if len(self) >= _MAX_CHARACTERS:
            self.clear()
        folded = self[code_point] = _fold_character(chr(code_point))
        return folded


_TABLE = _Table()


def _fold_character(character: str) -> str:
    if character.isspace():
        return " "
    if any(ord(character) in code_points for code_points in IGNORABLE):
        return ""
    # Convert to upper case first, because the dotless i and i share a capital letter, and so do the long s and s.
    folded = unicodedata.normalize("NFD", character).upper().casefold()
    return "".join(map(_base_letter, unicodedata.normalize("NFD", folded)))


def _base_letter(character: str) -> str:
    """Return the character without its accent, or "" if it is only an accent."""
    category = unicodedata.category(character)
    if category == "Mn" or unicodedata.combining(character):
        return ""
    # NFD does not decompose some letters, such as ø and ł, but their Unicode names include the base letter.
    base, accent, _ = unicodedata.name(character, "").partition(" WITH ")
    if accent and category == "Ll":
        try:
            return _fold_character(unicodedata.lookup(base))
        except KeyError:
            pass
    return character
