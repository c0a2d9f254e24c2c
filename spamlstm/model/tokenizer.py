"""The tokenizers library, with a vocabulary of the one kind that our trainer writes.

Its file format holds programs too: patterns that take exponential time, normalizers, post-processors. A bundle may come
from anybody, so that all of them are refused.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from spamlstm.errors import DataError
from spamlstm.model.bundle import TOKENIZER, Bundle
from spamlstm.model.vocabulary import PIECE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# What the library splits text by: PIECE, and the form that it had when the first models were trained. Both find the
# same words.
PATTERNS = (PIECE.pattern, r"⟦[a-z0-9:]+⟧| ?\w+| ?[^\w\s⟦]+")
MOST_MARKS = 1000
_PATTERNS_AS_JSON = tuple(json.dumps(pattern, ensure_ascii=False).encode() for pattern in PATTERNS)

_REGEX = b'"Regex"'
_TEXT_BEHIND = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.){0,200}+"?)')
_MARK = re.compile(r"⟦[a-z0-9:]{1,40}⟧")
_MODEL = {
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}


def of(bundle: Bundle) -> "Tokenizer":
    """The tokenizer of a bundle. DataError if it cannot be read or is of another kind."""
    try:
        return read_tokenizer(bundle.read(TOKENIZER))
    except ValueError as error:
        raise DataError(
            f"{bundle.path / TOKENIZER} is not a vocabulary that spamlstm uses: it {error}; use another model"
        ) from error


def read_tokenizer(raw: bytes) -> "Tokenizer":
    """The tokenizer in the bytes of a tokenizer.json. ValueError, with a sentence's end, if it is of another kind."""
    from tokenizers import Tokenizer

    _check_patterns(raw)
    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # the Rust side raises bare Exception for every fault
        raise ValueError(f"cannot be read ({str(error)[:200]})") from error
    _check(tokenizer)
    return tokenizer


def _check_patterns(raw: bytes) -> None:
    """Before the library sees the file: it compiles each pattern while it reads, however large that is."""
    for at in _places(raw, b"\\", step=2):
        # The library writes no such letter; a key could be spelt with it so that it is not found here.
        if raw[at + 1 : at + 2] == b"u":
            raise ValueError("has letters that are spelt as numbers")
    for at in _places(raw, _REGEX[1:2], step=1):
        if raw[at - 1 : at - 1 + len(_REGEX)] == _REGEX:
            found = _TEXT_BEHIND.match(raw, at - 1 + len(_REGEX))
            # Without a text behind it, it is a word of the vocabulary.
            if found and found[1] not in _PATTERNS_AS_JSON:
                raise ValueError("splits text by a pattern that is not ours")


def _places(raw: bytes, byte: bytes, *, step: int) -> Iterator[int]:
    """Where a byte stands, from `step` behind the one before. Single bytes are found twenty times as fast as words."""
    at = raw.find(byte)
    while at >= 0:
        yield at
        at = raw.find(byte, at + step)


def _check(tokenizer: "Tokenizer") -> None:
    from tokenizers.models import BPE

    if not isinstance(tokenizer.model, BPE):
        raise ValueError("is no byte-pair encoding")  # noqa: TRY004  the file is wrong, not the caller
    if any(getattr(tokenizer.model, key) != value for key, value in _MODEL.items()):
        raise ValueError("encodes pairs in a way that is not ours")
    parts = (tokenizer.normalizer, tokenizer.post_processor, tokenizer.truncation, tokenizer.padding)
    if any(part is not None for part in parts):
        raise ValueError("changes the text or the tokens in a way that is not ours")
    split: Any = tokenizer.pre_tokenizer
    if split is None or json.loads(split.__getstate__()) not in map(_split, PATTERNS):
        raise ValueError("splits text in a way that is not ours")
    marks = tokenizer.get_added_tokens_decoder().values()
    if len(marks) > MOST_MARKS or not all(map(_is_mark, marks)):
        raise ValueError("has marks that are not ours")


def _split(pattern: str) -> dict[str, Any]:
    """What the library says of the way in which our trainer lets it split text, by one of its patterns."""
    by_pattern = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [by_pattern, to_bytes]}


def _is_mark(token: Any) -> bool:
    plain = not (token.single_word or token.lstrip or token.rstrip or token.normalized)
    return plain and token.special and _MARK.fullmatch(token.content) is not None
