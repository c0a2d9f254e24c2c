"""Text to token ids: byte-level BPE, word by word, with a memory.

BPE never looks across a word, so a word seen before has its ids already. Looking them up in a dict is several times as
fast as asking the tokenizers library for the whole text each time (docs/decisions/0004-speed.md); the library is
asked once for each new word.
"""

import re
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from spamlstm.features.render import BODY
from spamlstm.files import write_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A mark, or a word or a run of punctuation with the space before it. Text comes with single spaces only. Of a set `re`
# finds what is named in a table, and only the rest by its kind, which takes longer: so ASCII is named beside its kind.
PIECE = re.compile(r"⟦[a-z0-9:]+⟧| ?[a-z0-9_\w]+| ?[^a-z0-9_ \w\s⟦]+")
PADDING = 0
# About 6 MB of words. When it is full it becomes the elder of two memories, from which what comes again is taken over.
MOST_WORDS = 32_768
_LONGEST_KEPT = 40

# The letters by which byte-level BPE writes the bytes 0x00 to 0xff (GPT-2's table, bytes_to_unicode).
_SHOWN = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_HIDDEN = [byte for byte in range(0x100) if byte not in _SHOWN]
BYTE_LETTERS = tuple(chr(byte if byte in _SHOWN else 0x100 + _HIDDEN.index(byte)) for byte in range(0x100))
_SPACE = BYTE_LETTERS[0x20]

Ids: TypeAlias = "array[int]"


class Vocabulary:
    """The words of one bundle."""

    def __init__(self, tokenizer: "Tokenizer", *, most_words: int = MOST_WORDS) -> None:
        self._tokenizer = tokenizer
        self._words = _Words(tokenizer, most_words)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """From a `tokenizer.json`. Raises what the tokenizers library raises for a file that is none."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` that `load` reads."""
        write_file(path, self._tokenizer.to_str(pretty=True))

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def ids(self, text: str) -> Ids:
        """The token ids of `text`."""
        return array("I", b"".join(map(self._words.__getitem__, PIECE.findall(text))))

    def split_ids(self, window: str, *, header: int, body: int) -> tuple[Ids, Ids]:
        """The ids of one window's header sections, at most `header` of them, and of its body, at most `body`.

        A body of more ids loses those in its middle. The mark that parts them ends the header, also one that was cut.
        """
        before, mark, after = window.partition(BODY)
        return self.header_ids(before, mark, most=header), self.body_ids(after, most=body)

    def header_ids(self, sections: str, mark: str, *, most: int) -> Ids:
        """The ids of the header sections and of the mark behind them: at most `most`, the mark always among them."""
        return self.ids(sections)[: most - 1] + self.ids(mark)

    def body_ids(self, body: str, *, most: int) -> Ids:
        """The ids of a body: at most `most`, from its two ends."""
        ids = self.ids(body)
        # The end of a window is worth as much as its beginning: it may be the end of the message.
        return ids if len(ids) <= most else ids[: most // 2] + ids[most // 2 - most :]


class _Words(dict[str, bytes]):
    """The ids of each word, as the bytes of an array: words are joined many times for each that is learned."""

    def __init__(self, tokenizer: "Tokenizer", most: int) -> None:
        self._tokenizer = tokenizer
        self._model = tokenizer.model
        self._most = most
        self._elder: dict[str, bytes] = {}

    def __missing__(self, word: str) -> bytes:
        ids = self._elder.get(word) or array("I", self._learn(word)).tobytes()
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= self._most:
                self._elder = self.copy()
                self.clear()
            self[word] = ids
        return ids

    def _learn(self, word: str) -> list[int]:
        if word.isascii():
            # What the library does around its model (marks, its own idea of a word) changes nothing here, and costs
            # three times as much as the model does.
            shown = word.replace(" ", _SPACE) if word.isprintable() else word.translate(BYTE_LETTERS)
            return [token.id for token in self._model.tokenize(shown)]
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids
