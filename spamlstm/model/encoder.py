"""The encoder: windows of text to token ids, by the vocabulary of a bundle."""

from array import array
from collections.abc import Sequence

from spamlstm.errors import DataError
from spamlstm.features.render import BODY
from spamlstm.model import tokenizer
from spamlstm.model.bundle import TOKENIZER, Bundle
from spamlstm.model.vocabulary import BYTE_LETTERS, Ids, Vocabulary

# Text is unknown if more than this share of its tokens are parts of letters. In a language of the vocabulary fewer than
# a tenth are, in a script that training never saw nearly all.
UNKNOWN_SHARE = 0.6

# Fewer tokens than this do not show the language.
FEWEST_TOKENS = 8


class Encoder:
    """A bundle's tokenizer. Loading takes about 30 ms, so it is done once."""

    def __init__(self, bundle: Bundle) -> None:
        self._tokenizer = tokenizer.of(bundle)
        if self._tokenizer.get_vocab_size() > bundle.input.vocab_size:
            raise DataError(
                f"the model {bundle.path} cannot be used: its {TOKENIZER} has {self._tokenizer.get_vocab_size()} "
                f"tokens and its network {bundle.input.vocab_size}; install it again"
            )
        self._vocabulary = Vocabulary(self._tokenizer)
        self._header, self._window = bundle.input.header_tokens, bundle.input.window_tokens
        self._padding = array("I", [bundle.input.pad_id])
        self._body = self._vocabulary.ids(BODY)[-1]
        ids = map(self._tokenizer.token_to_id, BYTE_LETTERS[0x80:])
        self._letter_parts = frozenset(one for one in ids if one is not None)

    def check_ids(self) -> None:
        """Raise DataError if a token has an id without a row in the network. Takes some milliseconds."""
        size = self._tokenizer.get_vocab_size()
        if any(self._tokenizer.id_to_token(one) is None for one in range(size)):
            raise DataError(f"the ids in the {TOKENIZER} of this model are not 0 to {size - 1}; use another model")

    def encode(self, windows: Sequence[str]) -> list[Ids]:
        """Return the ids of each window: at most header_tokens of its header, then at most window_tokens of its body.

        A row has at least one id, because the network cannot read an empty row.
        """
        vocabulary, rows = self._vocabulary, []
        last, header = None, self._padding
        for window in windows:
            *start, body = window.partition(BODY)
            # The windows of a message share one header.
            if start != last:
                last, header = start, vocabulary.header_ids(*start, most=self._header)
            rows.append(header + vocabulary.body_ids(body, most=self._window) or self._padding)
        return rows

    def is_unknown(self, rows: Sequence[Ids]) -> bool:
        """Return whether most of the body's tokens are only parts of letters in this vocabulary.

        A byte-level vocabulary spells unknown text in single bytes, and those from 0x80 on are parts of letters.
        """
        if all(map(self._letter_parts.isdisjoint, rows)):
            return False
        parts, total = 0, 0
        for row in rows:
            body = row[row.index(self._body) + 1 :] if self._body in row else row
            total += len(body)
            parts += sum(map(self._letter_parts.__contains__, body))
        return total >= FEWEST_TOKENS and parts > UNKNOWN_SHARE * total
