"""A model in a directory: manifest.json says what it is and how it must be used, and vouches for the other files.

| file | what | needed for |
|---|---|---|
| manifest.json | lengths, padding id, calibration, thresholds, figures, hashes | everything |
| model.onnx, tokenizer.json | the network, the vocabulary | scoring; their hashes are checked at each load |
| wide.npy | the weights of its wide part, if the manifest says that it has one | the same |
| weights.safetensors | the weights as trained | fine-tuning only; checked by `verify` |
| README.md | the card | people |
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spamlstm.config import Costs, Thresholds
from spamlstm.errors import DataError, NoInputError
from spamlstm.mail.text import TEXT_VERSION
from spamlstm.model.wide import WideSpec

FORMAT = 1
MANIFEST = "manifest.json"
NETWORK = "model.onnx"
TOKENIZER = "tokenizer.json"
WIDE = "wide.npy"
CARD = "README.md"
SCORING_FILES = (NETWORK, TOKENIZER)

_MOST_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a text becomes the network's input. Lengths are in tokens and UTF-8 bytes."""

    pad_id: int
    header_tokens: int
    window_tokens: int
    window_bytes: int
    max_windows: int
    vocab_size: int
    fashion: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: score = scale·logit + shift, a log-odds in nats; its logistic is the probability of spam."""

    scale: float
    shift: float

    def score(self, logit: float) -> float:
        """The calibrated log-odds of spam."""
        return self.scale * logit + self.shift

    @staticmethod
    def probability(score: float) -> float:
        """The logistic of a score, without overflow at either end."""
        if score >= 0:
            return 1.0 / (1.0 + math.exp(-score))
        odds = math.exp(max(score, -700.0))
        return odds / (1.0 + odds)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Reference inputs with the logits that the exported network gave for them."""

    ids: tuple[tuple[int, ...], ...]
    logits: tuple[float, ...]
    tolerance: float


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `manifest` is the whole of manifest.json, for what is shown and not used."""

    path: Path
    name: str
    version: str
    input: InputSpec
    calibration: Calibration
    thresholds: Thresholds
    costs: Costs
    self_test: SelfTest
    wide: WideSpec | None
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def label(self) -> str:
        """Name and version in one word, as it stands in each judgement."""
        return f"{self.name}-{self.version}"

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files."""
        return self.path / name

    def card(self) -> str:
        """The model card, empty if the bundle has none."""
        try:
            return self.file(CARD).read_text("utf-8", errors="replace")
        except OSError:
            return ""


def load(path: Path, *, text_version: int = TEXT_VERSION) -> Bundle:
    """Read and verify the bundle at `path`: its format, its text version, each value used, and the files that score.

    Raises NoInputError where nothing can be read and DataError where what is read is wrong, each with one sentence
    that says what to do. Hashing a 5 MB network takes about 4 ms, so it is done each time.
    """
    manifest = _Manifest(path, _read_manifest(path))
    manifest.check_versions(text_version)
    bundle = manifest.bundle()
    for name in (*SCORING_FILES, *([WIDE] if bundle.wide else [])):
        manifest.check_file(name)
    return bundle


def verify(bundle: Bundle) -> None:
    """Check every file that the manifest names, also those that scoring does not use; raises as `load` does."""
    manifest = _Manifest(bundle.path, dict(bundle.manifest))
    for name in manifest.table("files"):
        manifest.check_file(name)


def seal(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json for the files that lie in `path`, with their sizes and hashes; the last step of an export.

    The manifest appears by one rename, so a directory without one is never a finished bundle.
    """
    import tempfile  # 3 ms, that no start of the filter need pay

    files = sorted(
        entry for entry in path.iterdir() if entry.is_file() and entry.name[0] != "." and entry.name != MANIFEST
    )
    sealed = {**manifest, "format": FORMAT, "files": {entry.name: _describe(entry) for entry in files}}
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path, prefix=".", delete=False) as out:
        json.dump(sealed, out, indent=1, ensure_ascii=False)
        out.write("\n")
        out.flush()
        os.fchmod(out.fileno(), 0o644)
        os.fsync(out.fileno())
    Path(out.name).replace(path / MANIFEST)


def _describe(path: Path) -> dict[str, Any]:
    return {"sha256": _sha256(path), "bytes": path.stat().st_size}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise NoInputError(f"there is no model at {path}; name the folder of a bundle with --model")
    if not path.is_dir():
        raise DataError(f"{path} is a file, and a model is a folder with a {MANIFEST} in it; name that folder")
    try:
        with (path / MANIFEST).open("rb") as stream:
            raw = stream.read(_MOST_MANIFEST_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not a spamlstm model: it has no {MANIFEST}; name another folder") from error
    except OSError as error:
        raise NoInputError(f"{path / MANIFEST} cannot be read: {error.strerror or error}") from error
    return _parse_manifest(path, raw)


def _parse_manifest(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(raw[:_MOST_MANIFEST_BYTES])
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path / MANIFEST} is not valid JSON ({error}): cut short or garbled; install the model again"
        ) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise DataError(f"{path / MANIFEST} is not the manifest of a spamlstm model: it states no 'format'")
    return manifest


@dataclass(frozen=True, slots=True)
class _Manifest:
    """Typed access to one manifest; every complaint names the bundle, the key, and what to do."""

    path: Path
    data: dict[str, Any]

    def check_versions(self, text_version: int) -> None:
        found = self.data["format"]
        if found != FORMAT:
            raise DataError(
                f"the model {self.path} is of format {found!r} and this spamlstm reads format {FORMAT}; "
                "use a spamlstm that fits it, or another model"
            )
        written = self.integer(self.data, "text_version")
        if written != text_version:
            raise DataError(
                f"the model {self.path} was trained on text version {written} and this spamlstm renders version "
                f"{text_version}, so its scores would be wrong; train it again or use the spamlstm it came with"
            )

    def bundle(self) -> Bundle:
        return Bundle(
            path=self.path,
            name=self.text("name"),
            version=self.text("version"),
            input=self.input(),
            calibration=self.calibration(),
            thresholds=self.thresholds(),
            costs=self.costs(),
            self_test=self.self_test(),
            wide=self.wide(),
            manifest=self.data,
        )

    def input(self) -> InputSpec:
        table = self.table("input")
        sizes = {
            key: self.integer(table, key, "input.", least=1)
            for key in ("header_tokens", "window_tokens", "window_bytes", "max_windows", "vocab_size")
        }
        if not isinstance(table.get("fashion"), bool):
            raise self.wrong("input.fashion", "true or false")
        return InputSpec(pad_id=self.integer(table, "pad_id", "input."), fashion=table["fashion"], **sizes)

    def calibration(self) -> Calibration:
        table = self.table("calibration")
        scale = self.number(table, "scale", "calibration.")
        if scale <= 0:
            raise self.wrong("calibration.scale", "a number above 0")
        return Calibration(scale=scale, shift=self.number(table, "shift", "calibration."))

    def thresholds(self) -> Thresholds:
        table = self.table("thresholds")
        bars = {key: self.number(table, key, "thresholds.") for key in ("ham", "spam")}
        try:
            return Thresholds(**bars)
        except ValueError as error:
            raise self.wrong("thresholds", f"in order ({error})") from error

    def costs(self) -> Costs:
        table = self.table("thresholds").get("costs", {})
        if not isinstance(table, dict):
            raise self.wrong("thresholds.costs", "an object")
        try:
            return Costs(**{key: self.number(table, key, "thresholds.costs.") for key in table})
        except (TypeError, ValueError) as error:
            raise self.wrong("thresholds.costs", f"false_positive, false_negative and unsure ({error})") from error

    def self_test(self) -> SelfTest:
        table = self.table("self_test")
        rows, logits = table.get("ids"), table.get("logits")
        if not isinstance(rows, list) or not isinstance(logits, list) or not rows or len(rows) != len(logits):
            raise self.wrong("self_test", "a list 'ids' of rows and as many 'logits', at least one")
        vocabulary = self.input().vocab_size
        for row in rows:
            if not isinstance(row, list) or not row or not all(_is_integer(i) and 0 <= i < vocabulary for i in row):
                raise self.wrong("self_test.ids", f"rows of token ids below {vocabulary}")
        if not all(_is_number(value) for value in logits):
            raise self.wrong("self_test.logits", "finite numbers")
        tolerance = self.number(table, "tolerance", "self_test.")
        return SelfTest(tuple(map(tuple, rows)), tuple(map(float, logits)), tolerance)

    def wide(self) -> WideSpec | None:
        if "wide" not in self.data:
            return None
        table = self.table("wide")
        pair = table.get("pair")
        if not isinstance(pair, list) or len(pair) != 2 or not all(_is_integer(each) for each in pair):
            raise self.wrong("wide.pair", "two whole numbers")
        return WideSpec(
            buckets=self.integer(table, "buckets", "wide.", least=2),
            pair=(pair[0], pair[1]),
            **{key: self.number(table, key, "wide.") for key in ("scale", "bias", "deep_vote")},
        )

    def check_file(self, name: str) -> None:
        """Refuse a file that is missing, unlisted, of another size, or of another hash than the manifest says."""
        entry = self.table("files").get(name)
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("sha256"), str)
            or not _is_integer(entry.get("bytes"))
        ):
            raise self.wrong(f"files.{name}", "an object with 'sha256' and 'bytes'")
        path = self.path / name
        try:
            size = path.stat().st_size
            if size != entry["bytes"]:
                raise DataError(self._size_sentence(name, size, entry["bytes"]))
            if _sha256(path) != entry["sha256"].lower():
                raise DataError(f"the model {self.path} is damaged: {name} is not what its hash says; install it again")
        except FileNotFoundError as error:
            raise DataError(f"the model {self.path} is incomplete: {name} is missing; install it again") from error
        except OSError as error:
            raise NoInputError(f"{path} cannot be read: {error.strerror or error}") from error

    def _size_sentence(self, name: str, size: int, stated: int) -> str:
        how = "cut short" if size < stated else "longer than it should be"
        return f"the model {self.path} is damaged: {name} is {how} ({size:,} of {stated:,} bytes); install it again"

    def table(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return value

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a text")
        return value

    def integer(self, table: Mapping[str, Any], key: str, prefix: str = "", *, least: int = 0) -> int:
        value: Any = table.get(key)
        if not _is_integer(value) or value < least:
            raise self.wrong(prefix + key, f"a whole number from {least} up")
        return int(value)

    def number(self, table: Mapping[str, Any], key: str, prefix: str = "") -> float:
        value: Any = table.get(key)
        if not _is_number(value):
            raise self.wrong(prefix + key, "a finite number")
        return float(value)

    def wrong(self, key: str, expected: str) -> DataError:
        return DataError(f"the model {self.path} cannot be used: '{key}' in its {MANIFEST} must be {expected}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
