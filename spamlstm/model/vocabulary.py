"""Text to token ids: byte-level BPE with a cache of words.

BPE encodes each word by itself, so its ids can be cached. A dict lookup for each word is several times as fast as a
call of the tokenizers library for the whole text (docs/decisions/0004-speed.md); the library encodes only new words.
"""

import re
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from spamlstm.features.render import BODY
from spamlstm.files import write_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A mark, or a word or a run of punctuation with the space before it. Text has single spaces only. `re` looks characters
# that a set lists up in a table, which is faster than to test for a class like \w: so ASCII is listed beside the class.
PIECE = re.compile(r"⟦[a-z0-9:]+⟧| ?[a-z0-9_\w]+| ?[^a-z0-9_ \w\s⟦]+")
# About 6 MB of words. A full cache becomes the old one of two, and words that recur move to the new one.
MOST_WORDS = 32_768
_LONGEST_CACHED = 40

# The letters that stand for the bytes 0x00 to 0xff in byte-level BPE (GPT-2's table, bytes_to_unicode).
_SHOWN = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_HIDDEN = [byte for byte in range(0x100) if byte not in _SHOWN]
BYTE_LETTERS = tuple(chr(byte if byte in _SHOWN else 0x100 + _HIDDEN.index(byte)) for byte in range(0x100))
_SPACE = BYTE_LETTERS[0x20]

Ids: TypeAlias = "array[int]"


class Vocabulary:
    """The vocabulary of one bundle."""

    def __init__(self, tokenizer: "Tokenizer", *, most_words: int = MOST_WORDS) -> None:
        self._tokenizer = tokenizer
        self._words = _Words(tokenizer, most_words)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read a `tokenizer.json`. Raises what the tokenizers library raises for any other file."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` that `load` reads."""
        write_file(path, self._tokenizer.to_str(pretty=True))

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def ids(self, text: str) -> Ids:
        """Return the token ids of `text`."""
        return array("I", b"".join(map(self._words.__getitem__, PIECE.findall(text))))

    def split_ids(self, window: str, *, header: int, body: int) -> tuple[Ids, Ids]:
        """Return at most `header` ids of a window's header sections, and at most `body` ids of its body.

        A longer body loses ids in its middle. The mark between the two always ends the header.
        """
        before, mark, after = window.partition(BODY)
        return self.header_ids(before, mark, most=header), self.body_ids(after, most=body)

    def header_ids(self, sections: str, mark: str, *, most: int) -> Ids:
        """Return at most `most` ids of the header sections and the mark behind them, the mark always included."""
        return self.ids(sections)[: most - 1] + self.ids(mark)

    def body_ids(self, body: str, *, most: int) -> Ids:
        """Return at most `most` ids of a body, from its two ends."""
        ids = self.ids(body)
        # The end of a window is worth as much as its beginning, as it may be the end of the message.
        return ids if len(ids) <= most else ids[: most // 2] + ids[most // 2 - most :]


class _Words(dict[str, bytes]):
    """The ids of each word as the bytes of an array, which are joined many times for each new word."""

    def __init__(self, tokenizer: "Tokenizer", most: int) -> None:
        self._tokenizer = tokenizer
        self._model = tokenizer.model
        self._most = most
        self._old: dict[str, bytes] = {}

    def __missing__(self, word: str) -> bytes:
        ids = self._old.get(word) or array("I", self._encode(word)).tobytes()
        if len(word) <= _LONGEST_CACHED:
            if len(self) >= self._most:
                self._old = self.copy()
                self.clear()
            self[word] = ids
        return ids

    def _encode(self, word: str) -> list[int]:
        if word.isascii():
            # The library's steps around its model (marks, splitting) change nothing for a word, and take three times as
            # long as the model.
            shown = word.replace(" ", _SPACE) if word.isprintable() else word.translate(BYTE_LETTERS)
            return [token.id for token in self._model.tokenize(shown)]
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids
