"""From the windows of a text to token ids, by the bundle's own vocabulary."""

from array import array
from collections.abc import Sequence

from spamlstm.errors import DataError
from spamlstm.features.render import BODY
from spamlstm.model import tokenizer
from spamlstm.model.bundle import TOKENIZER, Bundle
from spamlstm.model.vocabulary import BYTE_LETTERS, Ids, Vocabulary

# Text is unknown where more than this share of its tokens are pieces of letters. Of a language in the vocabulary
# fewer than a tenth are, of a script that the training never saw nearly all.
UNKNOWN_SHARE = 0.6

# Fewer tokens than this tell nothing about the language.
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
        self._nothing = array("I", [bundle.input.pad_id])
        self._body = self._vocabulary.ids(BODY)[-1]
        ids = map(self._tokenizer.token_to_id, BYTE_LETTERS[0x80:])
        self._strange = frozenset(one for one in ids if one is not None)

    def check_ids(self) -> None:
        """DataError if a token has an id that the network has no row for. Looking at all takes some milliseconds."""
        size = self._tokenizer.get_vocab_size()
        if any(self._tokenizer.id_to_token(one) is None for one in range(size)):
            raise DataError(f"the ids in the {TOKENIZER} of this model are not 0 to {size - 1}; use another model")

    def encode(self, windows: Sequence[str]) -> list[Ids]:
        """The ids of each window: of its header at most header_tokens, then of its body at most window_tokens.

        At least one, as the network cannot read nothing.
        """
        known, rows = self._vocabulary, []
        last, header = None, self._nothing
        for window in windows:
            *start, body = window.partition(BODY)
            # The windows of a message share one header.
            if start != last:
                last, header = start, known.header_ids(*start, most=self._header)
            rows.append(header + known.body_ids(body, most=self._window) or self._nothing)
        return rows

    def is_unknown(self, rows: Sequence[Ids]) -> bool:
        """Whether most of the body's tokens are no words, and no letters either, to this vocabulary.

        A byte-level vocabulary spells what it never learned in single bytes; those at 0x80 and above are pieces of
        a letter. So this counts them.
        """
        if all(map(self._strange.isdisjoint, rows)):
            return False
        strange, total = 0, 0
        for row in rows:
            body = row[row.index(self._body) + 1 :] if self._body in row else row
            total += len(body)
            strange += sum(map(self._strange.__contains__, body))
        return total >= FEWEST_TOKENS and strange > UNKNOWN_SHARE * total
