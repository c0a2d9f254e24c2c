"""A bundle: a model in a folder. Its manifest.json says how the model is used and has the hashes of the other files.

| file | content | used for |
|---|---|---|
| manifest.json | lengths, padding id, calibration, thresholds, figures, hashes | everything |
| model.onnx, tokenizer.json | the network, the vocabulary | scoring |
| wide.npy | the weights of the wide part, if the manifest has a table `wide` | scoring |
| weights.safetensors | the weights as trained | fine-tuning |
| README.md | the model card | people |

A bundle is untrusted input. Only regular files that the manifest lists are read, and only if their size is within the
bounds of `most_bytes` and their hash is that in the manifest.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from spamlstm.config import Costs, Thresholds
from spamlstm.errors import DataError, NoInputError
from spamlstm.features.render import TEXT_VERSION
from spamlstm.files import open_regular, write_file
from spamlstm.model.manifest import (
    CARD,
    FORMAT,
    MANIFEST,
    NETWORK,
    TOKENIZER,
    WEIGHTS,
    WIDE,
    FileEntry,
    InputSpec,
    Manifest,
    SelfTest,
    WideSpec,
    most_bytes,
)
from spamlstm.model.policy import Calibration

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
    "load_bundle",
    "seal",
    "verify",
]

_KINDS = {errno.ELOOP: "is a link", errno.EINVAL: "is no regular file"}
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
            raw = read_file(self.path, name)
        except FileNotFoundError as error:
            raise _missing(self.path, name) from error
        self._check(name, len(raw), hashlib.sha256(raw).hexdigest())
        return raw

    def card(self) -> str:
        """Return the model card, or '' if the manifest lists none. Its text is untrusted."""
        return self.read(CARD).decode("utf-8", errors="replace") if CARD in self.files else ""

    def check_file(self, name: str) -> None:
        """Raise DataError for a file that is missing, not listed, or of another size or hash than in the manifest."""
        try:
            with open_file(self.path, name) as stream:
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
    manifest = _read_manifest(path)
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
    """Check every file in the manifest, including those that scoring does not use. Raises as `load_bundle` does."""
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


def _read_manifest(path: Path) -> Manifest:
    """Read the manifest of the bundle at `path`. NoInputError or DataError if there is none."""
    if not path.exists():
        raise NoInputError(f"there is no model at {path}; name the folder of a bundle with --model")
    if not path.is_dir():
        raise DataError(f"{path} is a file, and a model is a folder with a {MANIFEST} in it; name that folder")
    try:
        manifest = json.loads(read_file(path, MANIFEST))
    except FileNotFoundError as error:
        raise DataError(f"{path} is not a spamlstm model: it has no {MANIFEST}; name another folder") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path / MANIFEST} is not valid JSON ({error}): cut short or garbled; install the model again"
        ) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise DataError(f"{path / MANIFEST} is not the manifest of a spamlstm model: it has no 'format'")
    return Manifest(path, manifest)


@contextlib.contextmanager
def open_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Open one file of a bundle for reading.

    FileNotFoundError if it is missing, DataError if it is a link, no regular file or too large, NoInputError if it
    cannot be read.
    """
    try:
        stream = open_regular(folder / name, follow=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _KINDS:
            raise _refused(folder, name, _KINDS[error.errno]) from error
        raise NoInputError(f"{folder / name} cannot be read: {error.strerror or error}") from error
    with stream, io.BufferedReader(stream) as buffered:
        if os.fstat(stream.fileno()).st_size > most_bytes(name):
            raise _refused(folder, name, f"is larger than {most_bytes(name):,} bytes")
        yield buffered


def read_file(folder: Path, name: str) -> bytes:
    """Return all bytes of one file; raises as `open_file` does."""
    with open_file(folder, name) as stream:
        # The bound holds even if the file grows meanwhile; the caller checks size and hash.
        return stream.read(most_bytes(name))


def _refused(folder: Path, name: str, why: str) -> DataError:
    return DataError(
        f"the model {folder} cannot be used: {name} {why}; a model is a folder of regular files, so install it again"
    )


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
