"""A bundle: a model in a folder. Its manifest.json says how the model is used and has the hashes of the other files.

| file | content | used for |
|---|---|---|
| manifest.json | lengths, padding id, calibration, thresholds, figures, hashes | everything |
| model.onnx, tokenizer.json | the network, the vocabulary | scoring |
| wide.npy | the weights of the wide part, if the manifest has a table `wide` | scoring |
| weights.safetensors | the weights as trained | fine-tuning |
| README.md | the model card | people |

A bundle is untrusted input. A file is read only if the manifest lists it, only within the bounds of `bundle_files`, and
only if it has the hash in the manifest.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from spamlstm.config import Costs, Thresholds
from spamlstm.errors import DataError
from spamlstm.features.render import TEXT_VERSION
from spamlstm.files import write_file
from spamlstm.model import bundle_files
from spamlstm.model.bundle_files import CARD, MANIFEST, NETWORK, TOKENIZER, WEIGHTS, WIDE
from spamlstm.model.manifest import FORMAT, Calibration, FileEntry, InputSpec, Manifest, SelfTest
from spamlstm.model.wide import WideSpec

__all__ = [
    "CARD",
    "FORMAT",
    "MANIFEST",
    "NETWORK",
    "SCORING_FILES",
    "TOKENIZER",
    "WEIGHTS",
    "WIDE",
    "Bundle",
    "Calibration",
    "InputSpec",
    "SelfTest",
    "load_bundle",
    "seal",
    "verify",
]

SCORING_FILES = (NETWORK, TOKENIZER)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `manifest` is all of manifest.json, for display; its unused parts are unchecked."""

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
    files: Mapping[str, FileEntry] = field(repr=False)

    @property
    def label(self) -> str:
        """Name and version in one word, as in each judgement."""
        return f"{self.name}-{self.version}"

    def has(self, name: str) -> bool:
        """Return whether the manifest lists a file of that name and the file exists."""
        return name in self.files and os.path.lexists(self.path / name)

    def read(self, name: str) -> bytes:
        """Return the bytes of one file. Raises as `load_bundle` does, also if they do not have the manifest's hash."""
        try:
            raw = bundle_files.read_file(self.path, name)
        except FileNotFoundError as error:
            raise _missing(self.path, name) from error
        self._check(name, len(raw), hashlib.sha256(raw).hexdigest())
        return raw

    def card(self) -> str:
        """Return the model card, or '' if the manifest lists none. Its text is untrusted."""
        return self.read(CARD).decode("utf-8", errors="replace") if CARD in self.files else ""

    def check_file(self, name: str) -> None:
        """Raise DataError for a file that is missing or unlisted, or whose size or hash is not that in the manifest."""
        try:
            with bundle_files.open_file(self.path, name) as stream:
                size = os.fstat(stream.fileno()).st_size
                self._check(name, size, _sha256(stream, most=size))
        except FileNotFoundError as error:
            raise _missing(self.path, name) from error

    def _check(self, name: str, size: int, sha256: str) -> None:
        entry = self.files.get(name)
        if entry is None:
            raise Manifest(self.path, {}).wrong(f"files.{name}", "an object with 'sha256' and 'bytes'")
        if size != entry.size:
            how = "cut short" if size < entry.size else "too long"
            raise DataError(
                f"the model {self.path} is damaged: {name} is {how} ({size:,} of {entry.size:,} bytes); "
                "install it again"
            )
        if sha256 != entry.sha256:
            raise DataError(
                f"the model {self.path} is damaged: {name} does not have the hash in {MANIFEST}; install it again"
            )


def load_bundle(path: Path, *, text_version: int = TEXT_VERSION, hashes: bool = True) -> Bundle:
    """Read and verify the bundle at `path`: its format, its text version, each value used, and its scoring files.

    Raises NoInputError if it cannot be read and DataError if it is wrong. Hashing a 5 MB network takes about 4 ms;
    `hashes=False` leaves that out for a caller that reads the files by `Bundle.read`, which checks them too.
    """
    manifest = Manifest.read(path)
    manifest.check_versions(text_version)
    bundle = Bundle(
        path=path,
        name=manifest.word("name"),
        version=manifest.word("version"),
        input=manifest.input(),
        calibration=manifest.calibration(),
        thresholds=manifest.thresholds(),
        costs=manifest.costs(),
        self_test=manifest.self_test(),
        wide=manifest.wide(),
        manifest=manifest.data,
        files=manifest.files(),
    )
    for name in (*SCORING_FILES, *([WIDE] if bundle.wide else [])) if hashes else ():
        bundle.check_file(name)
    return bundle


def verify(bundle: Bundle) -> None:
    """Check every file in the manifest, also those that scoring does not use; raises as `load_bundle` does."""
    for name in bundle.files:
        bundle.check_file(name)


def seal(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json for the files in the folder `path`, with their sizes and hashes: the last step of an export.

    The manifest appears by one rename, so a folder with a manifest is always a finished bundle.
    """
    files = sorted(
        entry for entry in path.iterdir() if entry.is_file() and entry.name[0] != "." and entry.name != MANIFEST
    )
    sealed = {**manifest, "format": FORMAT, "files": {entry.name: _describe(entry) for entry in files}}
    write_file(path / MANIFEST, json.dumps(sealed, indent=1, ensure_ascii=False) + "\n", mode=0o644)


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return {"sha256": _sha256(stream, most=size), "bytes": size}


def _sha256(stream: BinaryIO, *, most: int) -> str:
    """Return the hash of about the first `most` bytes, so that reading ends even if the file grows meanwhile."""
    digest = hashlib.sha256()
    while most >= 0 and (piece := stream.read(1 << 20)):
        digest.update(piece)
        most -= len(piece)
    return digest.hexdigest()


def _missing(path: Path, name: str) -> DataError:
    return DataError(f"the model {path} is incomplete: {name} is missing; install it again")
