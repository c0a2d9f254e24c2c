"""The encoder: converts windows of text to token ids with the vocabulary of a bundle."""

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from spamlstm.errors import DataError
from spamlstm.features.render import BODY
from spamlstm.files import write_file
from spamlstm.model.bundle import TOKENIZER, Bundle
from spamlstm.model.close_reading import divide

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A mark, or a word or a run of punctuation with the space before it. Text has single spaces only. ASCII characters are
# listed in addition to \w, because `re` finds listed characters in a table, which is faster than testing for a class.
PIECE = re.compile(r"⟦[a-z0-9:]+⟧| ?[a-z0-9_\w]+| ?[^a-z0-9_ \w\s⟦]+")
# The maximum number of words in the cache, about 6 MB. A full cache is kept as the old cache, from which words that
# recur are copied to a new cache.
MOST_WORDS = 32_768
_LONGEST_CACHED = 40

# The letters that represent the bytes 0x00 to 0xff in byte-level BPE (GPT-2's table, bytes_to_unicode).
_SHOWN = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_HIDDEN = [byte for byte in range(0x100) if byte not in _SHOWN]
BYTE_LETTERS = tuple(chr(byte if byte in _SHOWN else 0x100 + _HIDDEN.index(byte)) for byte in range(0x100))
_SPACE = BYTE_LETTERS[0x20]

Ids: TypeAlias = "array[int]"
# Text is unknown if more than this share of its tokens are parts of letters. The share is below a tenth in a language
# of the vocabulary, and nearly 1 in a script that was not in the training mail.
UNKNOWN_SHARE = 0.6
# A text with fewer tokens than this is too short to detect an unknown language.
FEWEST_TOKENS = 8
# The regular expressions that may split text: PIECE, and the form of PIECE in the first models. Both forms find the
# same words.
PATTERNS = (PIECE.pattern, r"⟦[a-z0-9:]+⟧| ?\w+| ?[^\w\s⟦]+")
MOST_MARKS = 1000
_PATTERNS_AS_JSON = tuple(json.dumps(pattern, ensure_ascii=False).encode() for pattern in PATTERNS)
_REGEX = b'"Regex"'
_TEXT_BEHIND = re.compile(rb'\s*:\s*("(?>[^"\\]|\\.){0,200}+"?)')
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


class Vocabulary:
    """The vocabulary of one bundle, with a cache of words."""

    def __init__(self, tokenizer: "Tokenizer", *, most_words: int = MOST_WORDS) -> None:
        self._tokenizer = tokenizer
        self._words = _Words(tokenizer, most_words)

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Return the vocabulary in the `tokenizer.json` at `path`.

        Raises the error of the tokenizers library if the file cannot be read or is not a tokenizer.
        """
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    def save(self, path: Path) -> None:
        """Write the vocabulary to `path` as a `tokenizer.json` that `load` reads."""
        write_file(path, self._tokenizer.to_str(pretty=True))

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def ids(self, text: str) -> Ids:
        """Return the token ids of a text."""
        return array("I", b"".join(map(self._words.__getitem__, PIECE.findall(text))))

    def split_ids(self, window: str, *, header: int, body: int) -> tuple[Ids, Ids]:
        """Return at most `header` token ids of the header sections of a window and at most `body` of its body.

        A longer body is shortened in its middle. The ids of the header always end with the mark between header and
        body.
        """
        before, mark, after = window.partition(BODY)
        return self.header_ids(before, mark, most=header), self.body_ids(after, most=body)

    def header_ids(self, sections: str, mark: str, *, most: int) -> Ids:
        """Return at most `most` token ids of the header sections and of the `mark` that follows them.

        The mark is always included.
        """
        return self.ids(sections)[: most - 1] + self.ids(mark)

    def body_ids(self, body: str, *, most: int) -> Ids:
        """Return at most `most` token ids of a body, taken from its beginning and its end."""
        ids = self.ids(body)
        # The end of a window may be the end of the message, so it is as important as the beginning.
        return ids if len(ids) <= most else ids[: most // 2] + ids[most // 2 - most :]


class _Words(dict[str, bytes]):
    """A cache of the token ids of each word, stored as the bytes of an array, which are fast to join."""

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
            # The other steps of the tokenizers library (marks, splitting) do not change a single word, and take three
            # times as long as its model.
            shown = word.replace(" ", _SPACE) if word.isprintable() else word.translate(BYTE_LETTERS)
            return [token.id for token in self._model.tokenize(shown)]
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids


class Encoder:
    """The tokenizer of one bundle. Loading takes about 30 ms, so callers reuse the encoder."""

    def __init__(self, bundle: Bundle) -> None:
        self._tokenizer = bundle_tokenizer(bundle)
        if self._tokenizer.get_vocab_size() > bundle.input.vocab_size:
            raise DataError(
                f"the model {bundle.path} cannot be used: its {TOKENIZER} has {self._tokenizer.get_vocab_size()} "
                f"tokens and its network {bundle.input.vocab_size}; install it again"
            )
        self._vocabulary = Vocabulary(self._tokenizer)
        self._header, self._window = bundle.input.header_tokens, bundle.input.window_tokens
        self._piece = bundle.input.piece_tokens
        self._padding = array("I", [bundle.input.pad_id])
        self._body = self._vocabulary.ids(BODY)[-1]
        ids = map(self._tokenizer.token_to_id, BYTE_LETTERS[0x80:])
        self._letter_parts = frozenset(one for one in ids if one is not None)

    def check_ids(self) -> None:
        """Check that the token ids are 0 to vocabulary size - 1. The check takes some milliseconds.

        If an id is missing, another token has an id for which the network has no row. Raises DataError if an id is
        missing.
        """
        size = self._tokenizer.get_vocab_size()
        if any(self._tokenizer.id_to_token(one) is None for one in range(size)):
            raise DataError(f"the ids in the {TOKENIZER} of this model are not 0 to {size - 1}; use another model")

    def encode(self, windows: Sequence[str]) -> list[Ids]:
        """Return the token ids of each window.

        The row of a window has at most header_tokens ids of the header, then at most window_tokens ids of the body. A
        row has at least one id because the network cannot read an empty row.
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

    def pieces(self, row: Ids) -> list[Ids]:
        """Return a row for each piece of the body of `row`, with the header of `row` before it.

        There is none if the body is not longer than one piece, or if this model does not read pieces.
        """
        start = row.index(self._body) + 1 if self._body in row else 0
        return [row[:start] + piece for piece in divide(row[start:], self._piece)]

    def is_unknown(self, rows: Sequence[Ids]) -> bool:
        """Return whether most tokens of the body are only parts of letters in this vocabulary.

        A byte-level vocabulary spells unknown text in single bytes. The bytes from 0x80 are parts of letters.
        """
        if all(map(self._letter_parts.isdisjoint, rows)):
            return False
        parts, total = 0, 0
        for row in rows:
            body = row[row.index(self._body) + 1 :] if self._body in row else row
            total += len(body)
            parts += sum(map(self._letter_parts.__contains__, body))
        return total >= FEWEST_TOKENS and parts > UNKNOWN_SHARE * total


def bundle_tokenizer(bundle: Bundle) -> "Tokenizer":
    """Return the tokenizer of a bundle. Raises DataError if the tokenizer cannot be read or is of another kind."""
    try:
        return read_tokenizer(bundle.read(TOKENIZER))
    except ValueError as error:
        raise DataError(
            f"{bundle.path / TOKENIZER} is not a vocabulary of spamlstm: it {error}; use another model"
        ) from error


def read_tokenizer(raw: bytes) -> "Tokenizer":
    """Return the tokenizer from the bytes of a tokenizer.json.

    Raises ValueError if the tokenizer is refused. The error message completes a sentence that begins with 'it'.
    """
    from tokenizers import Tokenizer

    _check_patterns(raw)
    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # the Rust code raises a bare Exception for every error
        raise ValueError(f"cannot be read ({str(error)[:200]})") from error
    _check(tokenizer)
    return tokenizer


def _check_patterns(raw: bytes) -> None:
    """Refuse unknown patterns before the tokenizers library reads the file and compiles each pattern.

    Raises ValueError if a pattern is not in PATTERNS or the file contains Unicode escapes.
    """
    for at in _positions(raw, b"\\", step=2):
        # A \u escape could hide a key from the search below. The tokenizers library never writes such escapes.
        if raw[at + 1 : at + 2] == b"u":
            raise ValueError("has escaped letters")
    for at in _positions(raw, _REGEX[1:2], step=1):
        if raw[at - 1 : at - 1 + len(_REGEX)] == _REGEX:
            value = _TEXT_BEHIND.match(raw, at - 1 + len(_REGEX))
            # If no string follows, "Regex" is a word of the vocabulary.
            if value and value[1] not in _PATTERNS_AS_JSON:
                raise ValueError("splits text by an unknown pattern")


def _positions(raw: bytes, byte: bytes, *, step: int) -> Iterator[int]:
    """Yield the positions of `byte` in `raw`. Each search begins `step` bytes after the last position.

    Searching for one byte is 20 times as fast as searching for a word.
    """
    at = raw.find(byte)
    while at >= 0:
        yield at
        at = raw.find(byte, at + step)


def _check(tokenizer: "Tokenizer") -> None:
    from tokenizers.models import BPE

    if not isinstance(tokenizer.model, BPE):
        raise ValueError("is not a byte-pair encoding")  # noqa: TRY004  the file is wrong, not the caller
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
    """Return the expected pre-tokenizer as JSON data: split text by `pattern`, then convert bytes to letters."""
    by_pattern = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [by_pattern, to_bytes]}


def _is_mark(token: Any) -> bool:
    plain = not (token.single_word or token.lstrip or token.rstrip or token.normalized)
    return plain and token.special and _MARK.fullmatch(token.content) is not None
