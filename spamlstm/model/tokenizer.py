"""The tokenizer of a bundle: a vocabulary of the one kind that our trainer writes, for the tokenizers library.

The library's file format can hold regular expressions of exponential time, normalizers and post-processors. A bundle is
untrusted input, so all of these are refused.
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

# The regular expressions that text is split by: PIECE, and its form in the first models. Both find the same words.
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
    """Return the tokenizer of a bundle. DataError if it cannot be read or is of another kind."""
    try:
        return read_tokenizer(bundle.read(TOKENIZER))
    except ValueError as error:
        raise DataError(
            f"{bundle.path / TOKENIZER} is no vocabulary of spamlstm: it {error}; use another model"
        ) from error


def read_tokenizer(raw: bytes) -> "Tokenizer":
    """Return the tokenizer in the bytes of a tokenizer.json. ValueError, the end of a sentence 'it …', if refused."""
    from tokenizers import Tokenizer

    _check_patterns(raw)
    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # the Rust side raises bare Exception for every fault
        raise ValueError(f"cannot be read ({str(error)[:200]})") from error
    _check(tokenizer)
    return tokenizer


def _check_patterns(raw: bytes) -> None:
    """Refuse foreign patterns before the library sees the file, as it compiles each pattern while it reads."""
    for at in _positions(raw, b"\\", step=2):
        # The library never writes \u escapes, by which a key could be hidden from the search below.
        if raw[at + 1 : at + 2] == b"u":
            raise ValueError("has escaped letters")
    for at in _positions(raw, _REGEX[1:2], step=1):
        if raw[at - 1 : at - 1 + len(_REGEX)] == _REGEX:
            value = _TEXT_BEHIND.match(raw, at - 1 + len(_REGEX))
            # Without a string after it, it is a word of the vocabulary.
            if value and value[1] not in _PATTERNS_AS_JSON:
                raise ValueError("splits text by an unknown pattern")


def _positions(raw: bytes, byte: bytes, *, step: int) -> Iterator[int]:
    """Yield the positions of a byte, the next from `step` after the last. Bytes are found 20 times as fast as words."""
    at = raw.find(byte)
    while at >= 0:
        yield at
        at = raw.find(byte, at + step)


def _check(tokenizer: "Tokenizer") -> None:
    from tokenizers.models import BPE

    if not isinstance(tokenizer.model, BPE):
        raise ValueError("is no byte-pair encoding")  # noqa: TRY004  the file is wrong, not the caller
    if any(getattr(tokenizer.model, key) != value for key, value in _MODEL.items()):
        raise ValueError("has unknown options for merges")
    parts = (tokenizer.normalizer, tokenizer.post_processor, tokenizer.truncation, tokenizer.padding)
    if any(part is not None for part in parts):
        raise ValueError("has a normalizer, post-processor, truncation or padding")
    split: Any = tokenizer.pre_tokenizer
    if split is None or json.loads(split.__getstate__()) not in map(_split, PATTERNS):
        raise ValueError("splits text in an unknown way")
    marks = tokenizer.get_added_tokens_decoder().values()
    if len(marks) > MOST_MARKS or not all(map(_is_mark, marks)):
        raise ValueError("has unknown marks")


def _split(pattern: str) -> dict[str, Any]:
    """Return the library's description of the pre-tokenizer that our trainer writes, with one of the patterns."""
    by_pattern = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [by_pattern, to_bytes]}


def _is_mark(token: Any) -> bool:
    plain = not (token.single_word or token.lstrip or token.rstrip or token.normalized)
    return plain and token.special and _MARK.fullmatch(token.content) is not None
