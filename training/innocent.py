"""Innocent text of real ham, by language, for the padding of disguised copies."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from random import Random

from spamlstm.message.message import parse_message

_STOP = {
    "en": "the and you for this that with are have your from will not our",
    "de": "der die und das nicht ist sie mit ein auf für ich den wir",
    "fr": "les des est vous pour dans que une pas sur nous votre avec le",
    "es": "los las que para por una del con está este más como su el",
    "it": "che per non una della sono con del alla gli questo il di nel",
    "pt": "não para uma que com os mais por seu você são dos ao em",
    "nl": "het een van dat niet voor met zijn naar ook aan wij deze op",
    "pl": "nie się jest dla przez oraz czy jak tym od po które do na",
    "tr": "bir için ile bu olarak daha ve çok olan sizin değil gibi da de",
    "sv": "och att det som för inte med den har till av på är kan",
    "hu": "hogy nem egy van az és csak meg mint ez már vagy ha is",
    "cs": "že není jako pro ale který také jsem byl jen nebo jsou na se",
    "da": "og det ikke til med for den har jeg som kan er af på",
    "ca": "els les amb per una que això també més són del seva què la",
}
_WORDS = {code: frozenset(words.split()) for code, words in _STOP.items()}
_SCRIPTS = tuple(
    (code, re.compile(letters))
    for code, letters in (
        ("ja", r"[\u3040-\u30ff]"),
        ("ko", r"[\uac00-\ud7af]"),
        ("zh", r"[\u4e00-\u9fff]"),
        ("ru", r"[\u0430-\u044f]"),
        ("el", r"[\u03b1-\u03c9]"),
        ("ar", r"[\u0620-\u064a]"),
        ("he", r"[\u05d0-\u05ea]"),
        ("th", r"[\u0e01-\u0e2e]"),
    )
)
_WORD, _TAG = re.compile(r"[^\W\d_]+"), re.compile(r"<[^>]*>|&#?\w+;|https?://\S+|\S+@\S+|^>.*", re.MULTILINE)
_END = re.compile(r"(?<=[.!?。！？])\s+|\n\s*\n")
_READ = 6_000
"""The language is recognised, and sentences are taken, from at most this many characters of a text."""


def language_of(text: str) -> str:
    """Return the code of the language that a text is probably written in; 'en' if nothing is recognised."""
    text = text[:_READ]
    letters = sum(map(str.isalpha, text)) or 1
    for code, script in _SCRIPTS:
        if len(script.findall(text)) > 0.15 * letters:
            return code
    words = _WORD.findall(text.lower())
    counts = {code: sum(word in stop for word in words) for code, stop in _WORDS.items()}
    best = max(counts, key=lambda code: (counts[code], code == "en"))
    return best if counts[best] else "en"


class Innocent:
    """The sentences of some ham, by language."""

    def __init__(self, texts: Iterable[str]) -> None:
        found: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            found[language_of(text)] += _sentences(text)
        self._by_language = {code: lines for code, lines in found.items() if lines}

    def __bool__(self) -> bool:
        return bool(self._by_language)

    def words(self, rng: Random, lang: str, count: int) -> str:
        """Return about `count` words in consecutive sentences of a language; of the most frequent one if it has none.

        Return an empty text if there are no sentences at all.
        """
        lines = self._by_language.get(lang) or max(self._by_language.values(), key=len, default=[])
        out, length = [], 0
        at = rng.randrange(len(lines)) if lines else 0
        while lines and length < count:
            out.append(lines[at % len(lines)])
            length += max(1, len(out[-1].split()), 0 if out[-1].isascii() else len(out[-1]) // 8)
            at = at + 1 if rng.random() < 0.8 else rng.randrange(len(lines))  # mostly the text of one message
        return " ".join(out)


def innocent_text(mails: Iterable[bytes]) -> Innocent:
    """Return the sentences that a person reads in some messages."""
    return Innocent(parse_message(raw).text for raw in mails)


def _sentences(text: str) -> list[str]:
    lines = (" ".join(line.split()) for line in _END.split(_TAG.sub(" ", text[:_READ])))
    return [line for line in lines if 25 < len(line) < 300 and "<" not in line][:40]
