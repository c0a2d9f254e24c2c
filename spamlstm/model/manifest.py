"""The manifest of a bundle, manifest.json, with a check of the type and the bounds of each value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spamlstm.config import Costs, Thresholds
from spamlstm.errors import DataError
from spamlstm.model.policy import Calibration

MANIFEST = "manifest.json"
NETWORK = "model.onnx"
TOKENIZER = "tokenizer.json"
WIDE = "wide.npy"
CARD = "README.md"
WEIGHTS = "weights.safetensors"

_MOST_BYTES = {
    MANIFEST: 1 << 20,
    CARD: 256 << 10,
    TOKENIZER: 8 << 20,
    NETWORK: 64 << 20,
    WIDE: 17 << 20,
    WEIGHTS: 256 << 20,
}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)

_OTHER = "use another model ('spamlstm model use default' selects the shipped one)"

# Format 2 renamed 'input.fashion' to 'input.style'.
FORMAT = 2

MOST_FILES = 32
# The bounds of the sizes in `input`. A window smaller than its lower bound cannot contain a word.
SIZES = {
    "header_tokens": (1, 4096),
    "window_tokens": (1, 4096),
    "window_bytes": (100, 65_536),
    "max_windows": (1, 64),
    "vocab_size": (1, 65_536),
}
MOST_BUCKETS = 1 << 24
# With ids of 16 bits, this bound lets the table index of a pair be computed in 64 bits.
MOST_FACTOR = (1 << 31) - 1
MOST_TEST_ROWS = 64
# A logit difference of this size changes a probability by at most 2.5 percentage points.
MOST_TOLERANCE = 0.1
# Scores are log-odds. The probability of a score of some hundreds is practically 0 or 1.
MOST_NUMBER = 1e6


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The parameters that convert a text to the input of the network.

    `header_tokens`, `window_tokens` and `piece_tokens` are in tokens, `window_bytes` in UTF-8 bytes. `style` says
    whether the style facts are included. With 0 for `piece_tokens`, as in older models, no message is read in pieces.
    """

    pad_id: int
    header_tokens: int
    window_tokens: int
    window_bytes: int
    max_windows: int
    vocab_size: int
    style: bool
    piece_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Reference inputs, the logits that the exported network returned for the inputs, and the tolerated difference."""

    ids: tuple[tuple[int, ...], ...]
    logits: tuple[float, ...]
    tolerance: float


@dataclass(frozen=True, slots=True)
class WideSpec:
    """The parameters of the wide part of a network, a linear model over the tokens and bigrams of a window.

    `buckets` is the size of the weight table. `pair` are the hash factors for the two ids of a bigram. A weight is
    `scale` times its table entry. `deep_vote` is the weight of the logit of the deep network. Ids below `facts` are
    facts, which are added up apart from the text; with 0, as in older models, they are not. The deep part reads each
    weight times `evidence`; with 0 it does not, and older models have a table for the deep part in their graph.
    """

    buckets: int
    pair: tuple[int, int]
    scale: float
    bias: float
    deep_vote: float
    facts: int = 0
    evidence: float = 0.0


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The hash and size of one file, as stated in the manifest."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Typed access to one manifest. Each error message names the bundle, the key and the expected value."""

    path: Path
    data: dict[str, Any]

    def check_versions(self, text_version: int) -> None:
        """Check the format of the bundle and the text version on which its model was trained.

        Raises DataError if this program does not read the format or renders another text version.
        """
        found = self.data["format"]
        if found != FORMAT:
            shown = repr(found) if _is_integer(found) and abs(found) < 10**9 else "unknown"
            renamed = " ('input.fashion' is now called 'input.style')" if found == 1 else ""
            raise DataError(
                f"the model {self.path} is of format {shown} and this spamlstm reads format {FORMAT}{renamed}; "
                f"{_OTHER}, or the spamlstm it came with"
            )
        written = self.integer(self.data, "text_version", most=10**9)
        if written != text_version:
            raise DataError(
                f"the model {self.path} was trained on text version {written} and this spamlstm renders version "
                f"{text_version}, so its scores would be wrong; {_OTHER} and train this one again, or use "
                "the spamlstm it came with"
            )

    def files(self) -> dict[str, FileEntry]:
        """Return the size and hash of each file of the bundle. Raises DataError if the table is invalid."""
        table = self.table("files")
        if len(table) > MOST_FILES:
            raise self.wrong("files", f"{MOST_FILES} files at most")
        if not all(map(is_plain, table)):
            raise self.wrong("files", "names of letters, digits and '._+-', that begin with a letter or digit")
        return {name: self._file(name, entry) for name, entry in table.items()}

    def _file(self, name: str, entry: Any) -> FileEntry:
        most = most_bytes(name)
        wrong = self.wrong(f"files.{name}", f"an object with 'sha256' and 'bytes', of {most:,} bytes at most")
        if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
            raise wrong
        if not _is_integer(entry.get("bytes")) or not 0 <= entry["bytes"] <= most:
            raise wrong
        return FileEntry(entry["sha256"].lower(), entry["bytes"])

    def input(self) -> InputSpec:
        """Return the table `input`. Raises DataError if the table is invalid."""
        table = self.table("input")
        sizes = {
            key: self.integer(table, key, "input.", least=least, most=most) for key, (least, most) in SIZES.items()
        }
        if "fashion" in table:
            raise self.wrong("input.style", "used in place of 'input.fashion', its former name")
        if not isinstance(table.get("style"), bool):
            raise self.wrong("input.style", "true or false")
        pad_id = self.integer(table, "pad_id", "input.", most=sizes["vocab_size"] - 1)
        piece = self.integer({"piece_tokens": 0, **table}, "piece_tokens", "input.", most=sizes["window_tokens"])
        return InputSpec(pad_id=pad_id, style=table["style"], piece_tokens=piece, **sizes)

    def calibration(self) -> Calibration:
        """Return the table `calibration`. Raises DataError if the table is invalid."""
        calibration = Calibration(**self.numbers("calibration", "scale", "shift"))
        if calibration.scale < 1 / MOST_NUMBER:
            raise self.wrong("calibration.scale", "a number above 0")
        return calibration

    def thresholds(self) -> Thresholds:
        """Return the table `thresholds`. Raises DataError if the table is invalid."""
        thresholds = self.numbers("thresholds", "ham", "spam")
        try:
            return Thresholds(**thresholds)
        except ValueError as error:
            raise self.wrong("thresholds", f"in order ({error})") from error

    def costs(self) -> Costs:
        """Return the costs from which the thresholds were computed. Raises DataError if the costs are invalid."""
        table = self.table("thresholds").get("costs", {})
        if not isinstance(table, dict) or not table.keys() <= {"false_positive", "false_negative", "unsure"}:
            raise self.wrong("thresholds.costs", "an object with false_positive, false_negative and unsure")
        if not all(map(_is_number, table.values())):
            raise self.wrong("thresholds.costs", "finite numbers")
        try:
            return Costs(**{key: float(value) for key, value in table.items()})
        except ValueError as error:
            raise self.wrong("thresholds.costs", f"false_positive, false_negative and unsure ({error})") from error

    def self_test(self) -> SelfTest:
        """Return the table `self_test`. Raises DataError if the table is invalid."""
        table, limits = self.table("self_test"), self.input()
        rows, logits = table.get("ids"), table.get("logits")
        if not isinstance(rows, list) or not isinstance(logits, list) or not rows or len(rows) != len(logits):
            raise self.wrong("self_test", "a list 'ids' of rows and as many 'logits', at least one")
        if len(rows) > MOST_TEST_ROWS:
            raise self.wrong("self_test.ids", f"{MOST_TEST_ROWS} rows at most")
        longest = limits.header_tokens + limits.window_tokens
        for row in rows:
            if not isinstance(row, list) or not 0 < len(row) <= longest:
                raise self.wrong("self_test.ids", f"rows of one to {longest:,} token ids")
            if not all(_is_integer(i) and 0 <= i < limits.vocab_size for i in row):
                raise self.wrong("self_test.ids", f"rows of token ids below {limits.vocab_size}")
        if not all(map(_is_number, logits)):
            raise self.wrong("self_test.logits", "finite numbers")
        tolerance = self.numbers("self_test", "tolerance")["tolerance"]
        if not 0 <= tolerance <= MOST_TOLERANCE:
            raise self.wrong("self_test.tolerance", f"from 0 to {MOST_TOLERANCE}")
        return SelfTest(tuple(map(tuple, rows)), tuple(map(float, logits)), tolerance)

    def wide(self) -> WideSpec | None:
        """Return the table `wide`, or None if the model has no such table. Raises DataError if the table is invalid."""
        if "wide" not in self.data:
            return None
        table = self.table("wide")
        pair = table.get("pair")
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(_is_integer(factor) and 1 <= factor <= MOST_FACTOR for factor in pair)
        ):
            raise self.wrong("wide.pair", f"two whole numbers from 1 to {MOST_FACTOR}")
        return WideSpec(
            buckets=self.integer(table, "buckets", "wide.", least=2, most=MOST_BUCKETS),
            pair=(pair[0], pair[1]),
            **self.numbers("wide", "scale", "bias", "deep_vote", *(["evidence"] if "evidence" in table else [])),
            facts=self.integer({"facts": 0} | table, "facts", "wide.", most=SIZES["vocab_size"][1]),
        )

    def table(self, key: str) -> dict[str, Any]:
        """Return the object at `key`. Raises DataError if the value is not an object."""
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return value

    def word(self, key: str) -> str:
        """Return the string at `key`. Raises DataError if the string is not safe in headers, logs and file names."""
        value = self.data.get(key)
        if not isinstance(value, str) or not is_plain(value):
            raise self.wrong(key, "a word of at most 64 letters, digits and '._+-', that begins with a letter or digit")
        return value

    def integer(self, table: Mapping[str, Any], key: str, prefix: str = "", *, least: int = 0, most: int) -> int:
        """Return the integer at `key` in `table`.

        `prefix` is the path of the table for the error message. Raises DataError if the value is not an integer from
        `least` to `most`.
        """
        value: Any = table.get(key)
        if not _is_integer(value) or not least <= value <= most:
            raise self.wrong(prefix + key, f"a whole number from {least} to {most}")
        return int(value)

    def numbers(self, name: str, *keys: str) -> dict[str, float]:
        """Return the numbers at `keys` in the table `name`.

        The bound MOST_NUMBER keeps sums and products of such numbers finite. Raises DataError if a value is not a
        finite number within the bound.
        """
        table = self.table(name)
        for key in keys:
            if not _is_number(table.get(key)):
                raise self.wrong(f"{name}.{key}", f"a finite number, from -{MOST_NUMBER:g} to {MOST_NUMBER:g}")
        return {key: float(table[key]) for key in keys}

    def wrong(self, key: str, expected: str) -> DataError:
        """Return the DataError for an invalid value at `key`. `expected` describes a valid value."""
        return DataError(f"the model {self.path} cannot be used: '{key}' in its {MANIFEST} must be {expected}")


def is_plain(name: str) -> bool:
    """Return whether `name` is safe in headers, logs and file names: ASCII letters, digits and `._+-`."""
    return _PLAIN.fullmatch(name) is not None


def most_bytes(name: str) -> int:
    """Return the maximum size in bytes of a file called `name`."""
    return _MOST_BYTES.get(name, 16 << 20)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # The value is compared before its conversion because an integer may be larger than any float. NaN is outside all
    # bounds.
    return isinstance(value, int | float) and not isinstance(value, bool) and -MOST_NUMBER <= value <= MOST_NUMBER
