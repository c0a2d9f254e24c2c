"""Normalisation of text: reduces text to its visible words and removes details that identify a single message."""

import re
import unicodedata

from spamlstm.features.disguise import fold_lookalikes, fold_pictures, foreign, join_letters, strip_decoration
from spamlstm.features.invisible import BLANKS, ZERO_WIDTH
from spamlstm.features.turned_letters import turn_letters
from spamlstm.features.urls import url_host

_ZERO_WIDTH = re.compile(f"[{ZERO_WIDTH}]")
# Browsers show none of these control characters. They are no disguise, because text in a wrong charset has many.
_C1_CONTROL = re.compile("[\x80-\x9f]")
# A few zero-width characters are harmless: a byte order mark, the joiners of emojis.
_MOST_INVISIBLE = 3
# A long run of characters that are not letters. NFKC normalisation sorts combining marks in such a run, which takes
# quadratic time.
_MOST_SIGNS = 100
_SIGNS = re.compile(rf"(?<![^\w\s\0-\x7f])[^\w\s\0-\x7f]{{{_MOST_SIGNS},}}+")
# The half-width Japanese sound marks, and the combining marks to which NFKC normalisation converts them.
_SOUND_MARKS = (("\uff9e", "\u3099"), ("\uff9f", "\u309a"))
SCHEME_END, _SCHEME = re.compile("://"), re.compile(r"(?:https?|ftp)\Z")
_AFTER_SCHEME = re.compile(r"(?:[^\s/@<>\"]*@)?(\[[0-9a-f:.]{2,45}\]|[^\s/\\:?#<>\"')\]]+)[^\s<>\"]*")
_DOMAIN = re.compile(r"[\w.-]+")
_LOCAL = "abcdefghijklmnopqrstuvwxyz0123456789._+=-"
# `[0-9\d]` is equivalent to `\d` and `[^a-z0-9_ \n\w\s]` to `[^\w\s]`. `re` finds the listed ASCII characters with a
# table.
_NUMBER, _RUN = re.compile(r"[0-9\d][0-9\d][0-9\d][0-9\d]+"), re.compile(r"([^a-z0-9_ \n\w\s])\1{3,}")
# The marks of links and addresses, and their substitutes in ASCII text, because patterns search ASCII in half the time.
# Each substitute has two characters, so that adjacent ones are not a run of one character.
_MARKS, _ASCII_MARKS = ("⟦url⟧", "⟦address⟧"), ("\1\2", "\1\3")
# The kinds of ASCII characters: `0` for a digit, `-` for a sign, and `a` for all else. A character outside ASCII is
# treated as the sign `?`. Runs of one kind are found in a fifth of the time of a pattern.
_KINDS = bytes(
    ord("0" if chr(code).isdigit() else "a" if chr(code).isalpha() or chr(code).isspace() or code == 0x5F else "-")
    for code in range(0x80)
).ljust(0x100)
_SAME_KIND = re.compile(rb"0+|-+")
_MAX_WORD = 40
# The characters of words become `a`, and a long word is a run of `a`.
_WORDS, _TOO_LONG = bytes(0x20 if code == 0x20 else 0x61 for code in range(0x100)), b"a" * (_MAX_WORD + 1)
_LONG_WORD = re.compile(r"([!-~]{24})[!-~]{17,}")
_ASCII_SPACES = bytes.maketrans(b"\t\n\v\f\r", b" " * 5)
# Control characters, which mail programs do not show, except spaces and the substitutes of marks. 28 to 31 are spaces
# only for Python.
_CONTROLS = bytes([*range(4, 9), *range(14, 32), 127])
_WITHOUT_CONTROLS = dict.fromkeys((*_CONTROLS, *map(ord, "".join(_ASCII_MARKS))))
_SPACES = re.compile(rb"  +")


def without_brackets(text: str) -> str:
    """Return text without the brackets of marks, so that a sender cannot write a mark."""
    return text if text.isascii() else text.replace("⟦", "[").replace("⟧", "]")


def normalise(text: str) -> tuple[str, set[str]]:
    """Return the normalised text and the names of the oddities found in it: zerowidth, confusable, combining, spaced,
    leet.

    The text is in NFKC and lower case, without zero-width characters and letters in disguise. Links are reduced to
    ⟦url⟧ and their host. Addresses, long numbers and long runs of characters are replaced.
    """
    whole = text
    odd: set[str] = set()
    if not text.isascii():
        text, odd = visible_letters(text)
    text = text.lower()
    if "\1" in text or "\2" in text or "\3" in text:
        return _normalise_without_controls(whole)
    is_plain = text.isascii()
    url, address = _ASCII_MARKS if is_plain else _MARKS
    if "://" in text:
        text = _without_links(text, url)
    if "@" in text:
        text = _without_addresses(text, address)
    text, found = join_letters(text, marked=is_plain)
    odd.update(found)
    spaced = _single_spaced(_without_runs(text))
    if spaced is None:
        return _normalise_without_controls(whole)
    text = _without_long_words(spaced)
    if is_plain and "\1" in text:
        text = text.replace(url, _MARKS[0]).replace(address, _MARKS[1])
    return text, odd


def _normalise_without_controls(text: str) -> tuple[str, set[str]]:
    """Return the result of `normalise` for text with control characters, which few messages have."""
    shown = text.translate(_WITHOUT_CONTROLS)
    normal, odd = normalise(shown)
    return normal, odd | {"zerowidth"} if len(text) - len(shown) > _MOST_INVISIBLE else odd


def visible_letters(text: str) -> tuple[str, set[str]]:
    """Return text in NFKC with the letters that a person sees, and the names of the oddities found."""
    odd: set[str] = set()
    text, folded = fold_pictures(without_brackets(text))
    if folded:
        odd.add("confusable")
    for blank in BLANKS:
        text = text.replace(blank, " ")
    if not unicodedata.is_normalized("NFKC", text):
        for letter, mark in _SOUND_MARKS:
            text = text.replace(letter, mark)
        if len(foreign(text)) >= _MOST_SIGNS:
            text = _SIGNS.sub(_without_combining, text)
        text = unicodedata.normalize("NFKC", text)
    letters = foreign(text)
    if _ZERO_WIDTH.search(letters):
        text, removed = _ZERO_WIDTH.subn("", text)
        if removed > _MOST_INVISIBLE:
            odd.add("zerowidth")
    if _C1_CONTROL.search(letters):
        text = _C1_CONTROL.sub("", text)
    text, turned = turn_letters(text, letters)
    text, decorated = strip_decoration(text)
    text, folded = fold_lookalikes(text)
    if folded:
        # Letters in disguise may also have marks.
        text, more = strip_decoration(text)
        decorated = decorated or more
    if decorated:
        odd.add("combining")
    if folded or turned:
        odd.add("confusable")
    # The small letter of a Turkish capital has a mark, which its own small letter does not have.
    return text.replace("İ", "i"), odd


def _without_combining(match: re.Match[str]) -> str:
    return "".join([sign for sign in match[0] if not unicodedata.combining(sign)])


def _without_runs(text: str) -> str:
    """Return `text` with long numbers and long runs of a sign shortened."""
    if not text.isascii() and any(map(str.isdecimal, foreign(text))):
        return _RUN.sub(_shortened_run, _NUMBER.sub(_shortened_run, text))
    out: list[str] = []
    end = 0
    for start, stop in _runs(text):
        run = text[start:stop]
        is_same = run[0].isdecimal() or (run.isascii() and run.count(run[0]) == len(run))
        out += (text[end:start], _shortened(run) if is_same else _RUN.sub(_shortened_run, run))
        end = stop
    return "".join([*out, text[end:]]) if out else text


def _runs(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each run of four or more digits, or four or more signs."""
    kinds = text.encode("ascii", "replace").translate(_KINDS)
    found: list[tuple[int, int]] = []
    for run in (b"0000", b"----"):
        at = kinds.find(run)
        while at >= 0 and (same := _SAME_KIND.match(kinds, at)):
            found.append(same.span())
            at = kinds.find(run, same.end())
    return sorted(found)


def _single_spaced(text: str) -> str | None:
    """Return the words of `text` with single spaces between them, or None if there are control characters."""
    data = text.encode("utf-8", "surrogatepass")
    spaced = data.translate(_ASCII_SPACES, _CONTROLS)
    if len(spaced) < len(data):
        return None
    if not text.isascii() and any(map(str.isspace, foreign(text))):
        return " ".join(text.split())
    return _SPACES.sub(b" ", spaced).strip().decode("utf-8", "surrogatepass")


def _without_long_words(text: str) -> str:
    """Return `text`, which has single spaces, with each long word shortened."""
    # One byte for each character, so that positions are the same. Most texts have no long word.
    words = text.encode("ascii", "replace").translate(_WORDS)
    at = words.find(_TOO_LONG)
    if at < 0:
        return text
    out: list[str] = []
    end = 0
    while at >= 0:
        space = text.find(" ", at)
        space = len(text) if space < 0 else space
        out += (text[end:at], _LONG_WORD.sub(r"\1…", text[at:space]))
        end = space
        at = words.find(_TOO_LONG, space)
    return "".join([*out, text[end:]])


def _shortened_run(match: re.Match[str]) -> str:
    return _shortened(match[0])


def _shortened(run: str) -> str:
    """Return at most 8 zeros for a long number, or the first three characters of another run."""
    return "0" * min(len(run), 8) if run[0].isdecimal() else run[:3]


def _without_links(text: str, mark: str) -> str:
    """Return `text` with each link replaced by `mark` and its host.

    Two patterns take half the time of a single pattern for a whole link.
    """
    out: list[str] = []
    end = 0
    at = text.find("://")
    while at >= 0:
        # The scheme must not be part of the previous link.
        scheme = _SCHEME.search(text, max(end, at - 5), at)
        if scheme and (link := _AFTER_SCHEME.match(text, at + 3)):
            host = link[1]
            # The last letter of a usual host is a letter of ASCII. Other hosts are repaired.
            if not host[-1:].isalpha() or not host.isascii() or "%" in host or "xn--" in host:
                host = without_brackets(url_host(f"http://{host}")) or host
            out += (text[end : scheme.start()], f" {mark}{host[:40]} ")
            end = link.end()
        at = text.find("://", max(end, at + 3))
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
