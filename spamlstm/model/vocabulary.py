"""Text to token ids: byte-level BPE, word by word, with a memory.

BPE never looks across a word, so a word seen before has its ids already. Looking them up in a dict is several times as
fast as asking the tokenizers library for the whole text each time (docs/decisions/0004-speed.md); the library is
asked once for each new word.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from spamlstm.mail.text import BODY

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A mark, or a word or a run of punctuation with the space before it. Text comes with single spaces only.
PIECE = re.compile(r"⟦[a-z0-9:]+⟧| ?\w+| ?[^\w\s⟦]+")
PADDING = 0
# About 10 MB of words; mail repeats its words, so when it is full it may as well start anew.
_MOST_WORDS = 65_536


class Vocabulary:
    """The words of one bundle."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """From a `tokenizer.json`. Raises what the tokenizers library raises for a file that is none."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` that `load` reads."""
        self._tokenizer.save(str(path))

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def ids(self, text: str, most: int) -> list[int]:
        """The first `most` token ids of `text`."""
        known, found = self._known, []
        for piece in PIECE.findall(text):
            ids = known.get(piece)
            found += self._learn(piece) if ids is None else ids
            if len(found) >= most:
                return found[:most]
        return found

    def split_ids(self, window: str, *, header: int, body: int) -> tuple[list[int], list[int]]:
        """The ids of one window's header sections, at most `header` of them, and of its body, at most `body`.

        A body of more ids loses those in its middle. The mark that parts them ends the header, also one that was cut.
        """
        before, mark, after = window.partition(BODY)
        inside = self.ids(after, 4 * len(after))
        if len(inside) > body:
            # The end of a window is worth as much as its beginning: it may be the end of the message.
            inside = inside[: body // 2] + inside[body // 2 - body :]
        return [*self.ids(before, header - 1), *self._learn(mark)], inside

    def words(self, text: str) -> list[tuple[str, list[int]]]:
        """The pieces of `text`, each with its ids: what `ids` joins."""
        return [(piece, self._learn(piece)) for piece in PIECE.findall(text)]

    def _learn(self, piece: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(piece, add_special_tokens=False).ids
        if len(self._known) >= _MOST_WORDS:
            self._known.clear()
        if len(piece) <= 24:
            self._known[piece] = ids
        return ids
