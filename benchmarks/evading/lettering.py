"""Words whose letters a program does not recognise, although a person reads them."""

import re
from collections.abc import Callable
from dataclasses import replace

from .letter import LINK, Change, Letter, change_text

WORD = re.compile(r"[^\W\d_]{4,}")
_CYRILLIC = str.maketrans("aeopcyxijsABEKMHOPCTX", "аеорсухіјѕАВЕКМНОРСТХ")
_GREEK = str.maketrans("aiouvktAEHIKMNOPTXYZ", "αιουνκτΑΕΗΙΚΜΝΟΡΤΧΥΖ")
_LATIN = str.maketrans("abdeghiklnorstuyz", "ɑƅɗҽɡɦɩƙӏոօгꜱțսγᴢ")
_SMALL_CAPS = str.maketrans("abcdeghijklmnoprtuvwyz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ")
_LEET = str.maketrans("aeostAEOST", "4305743057")
_FULL_WIDTH = {number: number + 0xFEE0 for number in range(0x21, 0x7F)}
_SANS = {ord("a") + n: 0x1D5BA + n for n in range(26)} | {ord("A") + n: 0x1D5A0 + n for n in range(26)}
_CIRCLED = {ord("a") + n: 0x24D0 + n for n in range(26)} | {ord("A") + n: 0x24B6 + n for n in range(26)}
_BELOW = "\u0323"
_LOOKALIKES = (_CYRILLIC, _GREEK, _LATIN, _SMALL_CAPS, _LEET)
FOLDED = {
    ord(chr(fake) if isinstance(fake, int) else fake): real for table in _LOOKALIKES for real, fake in table.items()
}
"""From each lookalike to the letter that it looks like."""


def _everywhere(change: Callable[[str], str]) -> Change:
    """Return a transform that changes the words of the subject, the plain text and the page, but no links."""

    def safe(text: str) -> str:
        end, out = 0, []
        for link in LINK.finditer(text):
            out += [change(text[end : link.start()]), link[0]]
            end = link.end()
        return "".join((*out, change(text[end:])))

    def apply(letter: Letter) -> Letter:
        subject = letter.get("subject")
        changed = replace(letter, plain=safe(letter.plain), html=change_text(letter.html, safe))
        return changed if "=?" in subject else changed.with_header("Subject", safe(subject))

    return apply


def _each(mark: str, *, every: int = 1) -> Change:
    """Return a transform that puts `mark` behind the letters of all longer words."""
    pattern = re.compile(rf"([^\W\d_]{{{every}}})(?=[^\W\d_])")
    return _everywhere(lambda text: WORD.sub(lambda word: pattern.sub(rf"\1{mark}", word[0]), text))


def _in_page(mark: str) -> Change:
    """Return a transform that splits all longer words of the page by markup."""

    def split(text: str) -> str:
        return WORD.sub(lambda word: word[0][: len(word[0]) // 2] + mark + word[0][len(word[0]) // 2 :], text)

    return lambda letter: letter.with_page(change_text(letter.page, split))


def entities(letter: Letter) -> Letter:
    return letter.with_page(
        change_text(letter.page, lambda text: "".join(f"&#{ord(c)};" if c.isalpha() else c for c in text))
    )


def right_to_left(letter: Letter) -> Letter:
    """Words are written backwards and shown forwards."""

    def turned(text: str) -> str:
        return WORD.sub(lambda word: f'<bdo dir="rtl">{word[0][::-1]}</bdo>', text)

    return letter.with_page(change_text(letter.page, turned))


LETTERING = {
    "letters: Cyrillic": _everywhere(lambda text: text.translate(_CYRILLIC)),
    "letters: Greek": _everywhere(lambda text: text.translate(_GREEK)),
    "letters: Latin lookalikes": _everywhere(lambda text: text.translate(_LATIN)),
    "letters: small capitals": _everywhere(lambda text: text.lower().translate(_SMALL_CAPS)),
    "letters: full width": _everywhere(lambda text: text.translate(_FULL_WIDTH)),
    "letters: mathematical": _everywhere(lambda text: text.translate(_SANS)),
    "letters: in circles": _everywhere(lambda text: text.translate(_CIRCLED)),
    "letters: dots below": _everywhere(lambda text: "".join(c + _BELOW if c.isalpha() else c for c in text)),
    "letters: leet": _everywhere(lambda text: text.translate(_LEET)),
    "letters: invisible joiner": _each("\u200d"),
    "letters: invisible separator": _each("\u2063", every=2),
    "letters: thin spaces": _each("\u2009"),
    "letters: spaces": _each(" "),
    "letters: middle dots": _each("·"),
    "letters: asterisks": _each("*", every=3),
    "letters: split by span": _in_page("<span></span>"),
    "letters: split by comment": _in_page("<!--a-->"),
    "letters: split by hidden letters": _in_page('<u style="display:none">zq</u>'),
    "letters: split by soft break": _in_page("&shy;"),
    "letters: entities": entities,
    "letters: backwards": right_to_left,
}
