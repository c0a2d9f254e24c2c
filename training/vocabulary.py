"""Train the byte-level BPE vocabulary, with Hugging Face tokenizers."""

import re
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from spamlstm.features.render import MARKS
from spamlstm.model.encoder import PIECE

PAD = "⟦pad⟧"
_MARK = re.compile("⟦[^⟧]*⟧")


def train(texts: Iterable[str], *, size: int) -> Tokenizer:
    """Return a tokenizer of at most `size` tokens: padding (id 0), the marks of the rendering, bytes, merges."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECE.pattern), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=3,
        max_token_length=24,
        special_tokens=[PAD, *MARKS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_without_marks(texts), trainer)
    return tokenizer


def _without_marks(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield _MARK.sub(" ", text)
