"""Normalisation of text: reduces text to its visible words and removes details that identify a single message."""

import re
import unicodedata

from spamlstm.features.disguise import fold_lookalikes, fold_pictures, join_letters, strip_decoration
from spamlstm.features.urls import url_host

_ZERO_WIDTH = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u3164\U000e0000-\U000e007f]"
)
# A long run of characters that are not letters. NFKC normalisation sorts combining marks in such a run, which takes
# quadratic time.
_SIGNS = re.compile(r"(?<![^\w\s\0-\x7f])[^\w\s\0-\x7f]{100,}+")
# The half-width Japanese sound marks, and the combining marks to which NFKC normalisation converts them.
_SOUND_MARKS = (("\uff9e", "\u3099"), ("\uff9f", "\u309a"))
SCHEME_END, _SCHEME = re.compile("://"), re.compile(r"(?:https?|ftp)\Z")
_AFTER_SCHEME = re.compile(r"(?:[^\s/@<>\"]*@)?(\[[0-9a-f:.]{2,45}\]|[^\s/\\:?#<>\"')\]]+)[^\s<>\"]*")
_DOMAIN = re.compile(r"[\w.-]+")
_LOCAL = "abcdefghijklmnopqrstuvwxyz0123456789._+=-"
# `[0-9\d]` is equivalent to `\d` and `[^a-z0-9_ \n\w\s]` to `[^\w\s]`. `re` finds the listed ASCII characters with a
# table.
_NUMBER, _RUN = re.compile(r"[0-9\d][0-9\d][0-9\d][0-9\d]+"), re.compile(r"([^a-z0-9_ \n\w\s])\1{3,}")
# Finds the matches of both patterns above in ASCII text, in one pass and a third of the time.
_ASCII_RUN = re.compile(r"([\0-\x08\x0e-\x1b!-@\[-^`{-\x7f])(?:(?<=[0-9])[0-9][0-9][0-9]+|\1\1\1+)")
# The marks of links and addresses, and their substitutes in ASCII text, because patterns search ASCII in half the time.
# Each substitute has two characters, so that adjacent ones are not a run of one character.
_MARKS, _ASCII_MARKS = ("⟦url⟧", "⟦address⟧"), ("\1\2", "\1\3")
_MAX_WORD = 40
_LONG_WORD = re.compile(r"([!-~]{24})[!-~]{17,}")


def without_brackets(text: str) -> str:
    """Return text without the brackets of marks, so that a sender cannot write a mark."""
    return text if text.isascii() else text.replace("⟦", "[").replace("⟧", "]")


def normalise(text: str) -> tuple[str, set[str]]:
    """Return the normalised text and the names of the oddities found in it: zerowidth, confusable, combining, spaced,
    leet.

    The text is in NFKC and lower case, without zero-width characters and letters in disguise. Links are reduced to
    ⟦url⟧ and their host. Addresses, long numbers and long runs of characters are replaced.
    """
    odd: set[str] = set()
    if not text.isascii():
        text, odd = _visible_letters(text)
    text = text.lower()
    is_plain = text.isascii() and "\1" not in text
    url, address = _ASCII_MARKS if is_plain else _MARKS
    if "://" in text:
        text = _without_links(text, url)
    if "@" in text:
        text = _without_addresses(text, address)
    text, found = join_letters(text)
    odd.update(found)
    if text.isascii():
        text = _ASCII_RUN.sub(_shortened_run, text)
    else:
        text = _RUN.sub(_shortened_run, _NUMBER.sub(_shortened_run, text))
    words = text.split()
    if max(map(len, words), default=0) > _MAX_WORD:
        words = [word if len(word) <= _MAX_WORD else _LONG_WORD.sub(r"\1…", word) for word in words]
    text = " ".join(words)
    if is_plain and "\1" in text:
        text = text.replace(url, _MARKS[0]).replace(address, _MARKS[1])
    return text, odd


def _visible_letters(text: str) -> tuple[str, set[str]]:
    """Return text in NFKC with the letters that a person sees, and the names of the oddities found."""
    odd: set[str] = set()
    text, folded = fold_pictures(without_brackets(text))
    if folded:
        odd.add("confusable")
    if not unicodedata.is_normalized("NFKC", text):
        for letter, mark in _SOUND_MARKS:
            text = text.replace(letter, mark)
        text = unicodedata.normalize("NFKC", _SIGNS.sub(_without_combining, text))
    text, removed = _ZERO_WIDTH.subn("", text)
    # A few such characters are harmless: a byte order mark, the joiners of emojis.
    if removed > 3:
        odd.add("zerowidth")
    text, decorated = strip_decoration(text)
    if decorated:
        odd.add("combining")
    text, folded = fold_lookalikes(text)
    if folded:
        odd.add("confusable")
    # The small letter of a Turkish capital has a mark, which its own small letter does not have.
    return text.replace("İ", "i"), odd


def _without_combining(match: re.Match[str]) -> str:
    return "".join([sign for sign in match[0] if not unicodedata.combining(sign)])


def _shortened_run(match: re.Match[str]) -> str:
    """Return at most 8 zeros for a long number, or the first three characters of another run."""
    run = match[0]
    return "0" * min(len(run), 8) if run[0].isdecimal() else run[:3]


def _without_links(text: str, mark: str) -> str:
    """Return `text` with each link replaced by `mark` and its host.

    Two patterns take half the time of a single pattern for a whole link.
    """
    out: list[str] = []
    end = 0
    for match in SCHEME_END.finditer(text):
        # The scheme must not be part of the previous link.
        scheme = _SCHEME.search(text, max(end, match.start() - 5), match.start())
        if scheme and (link := _AFTER_SCHEME.match(text, match.end())):
            host = link[1]
            # The last letter of a usual host is a letter of ASCII. Other hosts are repaired.
            if not host[-1:].isalpha() or not host.isascii() or "%" in host or "xn--" in host:
                host = without_brackets(url_host(f"http://{host}")) or host
            out += (text[end : scheme.start()], f" {mark}{host[:40]} ")
            end = link.end()
    out.append(text[end:])
    return "".join(out)


def _without_addresses(text: str, mark: str) -> str:
    """Return `text` with each address replaced by `mark`.

    An address is an @ with characters that are valid in an address on both sides.
    """
    first, *rest = text.split("@")
    out = [first]
    for after in rest:
        domain = _DOMAIN.match(after)
        local = out[-1].rstrip(_LOCAL) if domain else out[-1]
        if domain is None or len(local) == len(out[-1]):
            out += ("@", after)
        else:
            out[-1] = local
            out += (mark, after[domain.end() :])
    return "".join(out)
