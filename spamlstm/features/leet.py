"""Digits and signs in place of letters (leet): single words in ordinary text, and texts written in this way."""

import re

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# 1 and 3 stand for vowels behind a consonant. Other words with digits are names: sha1sum, book3s, ext3fs.
_LEET = re.compile(
    r"(?<![\w$./:=#&%+@\\-])(?=[a-z013]{4,16}(?![\w$/:=#&%+@\\-]|\.\w))(?:fr33"
    r"|[a-z]++(?>(?:(?<=[a-z])00?|(?<=[b-df-hj-np-tv-z])1|(?<=[b-df-hj-np-tv-z])3(?=[b-cg-hj-np-rtv-z]))(?=[a-z])[a-z]++)++"
    r"(?!\w))"
)
_DIGIT = re.compile(r"[013](?=[a-z013])")
_TABLE = str.maketrans("013", "oie")
# Shorter words with 1 or 3, and longer words, are names.
_MIN_LEET, _MAX_LEET = 5, 16

# A word of a text in leet has letters and only these digits and signs. Codes and numbers have other digits too.
_WORD = re.compile(r"(?<![^\s(\"'])(?=[013457@$+]*+[a-z])(?=[a-z]*+[013457@$+])[a-z013457@$+]{2,16}(?![^\s.,:;!?)\"'])")
_CODE = re.compile(r"(?<!\S)(?=[^\s\d]*+\d)(?=\S*?[2689\-_/=#&%|]|\S{17})\S*[a-z]")
_WHOLE_TABLE = str.maketrans("013457@$+", "oieastast")
_TO = re.compile(r"(?<!\S)\+0(?!\S)")
# A text is in leet if it has at least these numbers of the digits 0, 1 and 3 and of such words, and these
# words are this share of its words or more.
_FEWEST_DIGITS, _FEWEST_WORDS, _LEAST_SHARE = 4, 8, 1 / 3
_MOST_CODES = 1 / 8
# A text with more words than this for each of these digits is not searched for such words, which takes longer.
_MOST_WORDS = 8


def without_leet(text: str) -> str:
    """Return text in lower case with letters in place of digits in words.

    In a text in which many words are written in this way, all of them and also other digits and signs are replaced.
    """
    if _is_leet(text):
        return _TO.sub("to", _WORD.sub(lambda word: word[0].translate(_WHOLE_TABLE), text))
    return _without_single(text)


def _is_leet(text: str) -> bool:
    """Return whether most of the words with digits in a text, and many of all words, are in leet."""
    digits = len(_DIGIT.findall(text))
    if digits < _FEWEST_DIGITS or digits * _MOST_WORDS < text.count(" "):
        return False
    found = len(_WORD.findall(text))
    if found < _FEWEST_WORDS or found < _LEAST_SHARE * len(text.split()):
        return False
    return len(_CODE.findall(text)) <= _MOST_CODES * found


def _without_single(text: str) -> str:
    """Return text with letters in place of digits in single words. Only the surroundings of digits are searched."""
    out: list[str] = []
    end = 0
    for digit in _DIGIT.finditer(text):
        at = digit.start()
        head = text[max(end, at - _MAX_LEET) : at]
        start = at - len(head) + len(head.rstrip(_LETTERS))
        word = _LEET.match(text, start) if end <= start < at else None
        if word and (len(word[0]) >= _MIN_LEET or "0" in word[0] or word[0] == "fr33"):
            out += (text[end:start], word[0].translate(_TABLE))
            end = word.end()
    return "".join([*out, text[end:]])
