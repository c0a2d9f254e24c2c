"""From the windows of a text to token ids, by the bundle's own vocabulary."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spamlstm.errors import DataError
from spamlstm.mail.text import BODY
from spamlstm.model.bundle import TOKENIZER, Bundle
from spamlstm.model.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Text is unknown where more than this share of its tokens are pieces of letters. Of a language in the vocabulary
# fewer than a tenth are, of a script that the training never saw nearly all.
UNKNOWN_SHARE = 0.6

# Fewer tokens than this tell nothing about the language.
FEWEST_TOKENS = 8


class Encoder:
    """A bundle's tokenizer. Loading takes about 30 ms, so it is done once."""

    def __init__(self, bundle: Bundle) -> None:
        self._tokenizer = _load(bundle.file(TOKENIZER))
        if self._tokenizer.get_vocab_size() > bundle.input.vocab_size:
            raise DataError(
                f"the model {bundle.path} cannot be used: its {TOKENIZER} has {self._tokenizer.get_vocab_size()} "
                f"tokens and its network {bundle.input.vocab_size}; install it again"
            )
        self._vocabulary = Vocabulary(self._tokenizer)
        self._header, self._window = bundle.input.header_tokens, bundle.input.window_tokens
        self._padding = bundle.input.pad_id
        self._body = self._tokenizer.token_to_id(BODY)
        self._strange: frozenset[int] | None = None

    def encode(self, windows: Sequence[str]) -> list[list[int]]:
        """The ids of each window: of its header at most header_tokens, then of its body at most window_tokens.

        At least one, as the network cannot read nothing.
        """
        parts = (self._vocabulary.split_ids(window, header=self._header, body=self._window) for window in windows)
        return [header + body or [self._padding] for header, body in parts]

    def is_unknown(self, rows: Sequence[Sequence[int]]) -> bool:
        """Whether most of the body's tokens are no words, and no letters either, to this vocabulary.

        A byte-level vocabulary spells what it never learned in single bytes; those at 0x80 and above are pieces of
        a letter. So this counts them.
        """
        strange, total = 0, 0
        for row in rows:
            body = row[row.index(self._body) + 1 :] if self._body in row else row
            total += len(body)
            strange += sum(map(self._strange_ids().__contains__, body))
        return total >= FEWEST_TOKENS and strange > UNKNOWN_SHARE * total

    def _strange_ids(self) -> frozenset[int]:
        if self._strange is None:
            ids = {self._tokenizer.token_to_id(letter) for letter in _high_byte_letters()}
            self._strange = frozenset(one for one in ids if one is not None)
        return self._strange


def _load(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises bare Exception for every fault
        raise DataError(f"{path} is not a vocabulary that can be read ({error}); install the model again") from error


def _high_byte_letters() -> list[str]:
    """The letters by which byte-level BPE writes the bytes 0x80 to 0xff (GPT-2's table, bytes_to_unicode)."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(0x80, 0x100)]
