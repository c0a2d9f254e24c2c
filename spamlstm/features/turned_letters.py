"""Letters that are turned upside down, in the order of the text or, as if the whole text is turned, from right to left.

Dictionaries write some of these letters for sounds, so a text is read in this way only if that gives common words.
"""

import re

from spamlstm.features.common_words import common_words

_TURNED = "ɐǝɔɟƃɥᴉɾʞɯɹʇʌʍʎ"
_TURNED_LETTER = re.compile(f"[{_TURNED}]")
_TABLE = str.maketrans(_TURNED + "qpdbunıʃ", "aecfghijkmrtvwybdpqnuil")
# A text with fewer such letters, or in which they are a smaller share of all letters, is not searched for words.
_FEWEST, _LEAST_SHARE, _FEWEST_WORDS = 12, 1 / 5, 3


def turn_letters(text: str, letters: str) -> tuple[str, bool]:
    """Return text with upright letters in place of those that are upside down, and whether there are any.

    `letters` are the characters of the text outside ASCII.
    """
    found = len(_TURNED_LETTER.findall(letters))
    if found < _FEWEST or found < _LEAST_SHARE * sum(map(str.isalpha, text)):
        return text, False
    upright = text.translate(_TABLE)
    backwards = "\n".join(line[::-1] for line in upright.split("\n")[::-1])
    words, most = max(((one, common_words(one)) for one in (upright, backwards)), key=lambda one: one[1])
    return (words, True) if most >= _FEWEST_WORDS else (text, False)
