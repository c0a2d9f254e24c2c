"""A bundle: a folder that contains a model.

| file | content | used for |
|---|---|---|
| manifest.json | lengths, padding id, calibration, thresholds, figures, and the hashes of the other files | all uses |
| model.onnx, tokenizer.json | the network, the vocabulary | scoring |
| wide.npy | the weights of the wide part, if the manifest has a table `wide` | scoring |
| weights.safetensors | the trained weights | fine-tuning |
| README.md | the model card | human readers |

A bundle is untrusted input. A file is read only if the manifest lists the file, its size is within the bounds in
`spamlstm.model.manifest`, and its hash equals the hash in the manifest.
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

_KINDS = {errno.ELOOP: "is a link", errno.EINVAL: "is not a regular file"}
SCORING_FILES = (NETWORK, TOKENIZER)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    `manifest` is the whole content of manifest.json, for display. Values that are not copied to another field are
    unchecked.
    """

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
        """The model identifier, NAME-VERSION, as in each judgement."""
        return f"{self.name}-{self.version}"

    def has(self, name: str) -> bool:
        """Return whether the manifest lists a file called `name` and the file exists."""
        return name in self.files and os.path.lexists(self.path / name)

    def read(self, name: str) -> bytes:
        """Return the bytes of the file called `name`.

        Raises DataError if the file is missing, unlisted, too large or not a regular file, or if its size or hash
        differs from the manifest. Raises NoInputError if the file cannot be read.
        """
        try:
            raw = read_file(self.path, name)
        except FileNotFoundError as error:
            raise _missing(self.path, name) from error
        self._check(name, len(raw), hashlib.sha256(raw).hexdigest())
        return raw

    def card(self) -> str:
        """Return the model card, or '' if the manifest lists no card. The text is untrusted."""
        return self.read(CARD).decode("utf-8", errors="replace") if CARD in self.files else ""

    def check_file(self, name: str) -> None:
        """Check the size and the hash of the file called `name`.

        Raises DataError if the file is missing, unlisted, too large or not a regular file, or if its size or hash
        differs from the manifest. Raises NoInputError if the file cannot be read.
        """
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


def load_bundle(path: Path, *, hashes: bool = True) -> Bundle:
    """Return the bundle at `path` after checking its format, text version, values and scoring files.

    Hashing a 5 MB network takes about 4 ms. `hashes=False` skips the check of the scoring files, for a caller that
    reads them with `Bundle.read`, which checks the hash too. Raises NoInputError if the bundle cannot be read. Raises
    DataError if the bundle is invalid.
    """
    manifest = _read_manifest(path)
    manifest.check_versions(TEXT_VERSION)
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
    """Check every file that the manifest lists, including files that scoring does not use.

    Raises DataError or NoInputError as `Bundle.check_file` does.
    """
    for name in bundle.files:
        bundle.check_file(name)


def seal(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json with the sizes and hashes of all files in the folder `path`, as the last step of an export.

    The manifest is renamed into place, so a folder that contains a manifest is always a complete bundle.
    """
    files = sorted(
        entry for entry in path.iterdir() if entry.is_file() and entry.name[0] != "." and entry.name != MANIFEST
    )
    sealed = {**manifest, "format": FORMAT, "files": {entry.name: _describe(entry) for entry in files}}
    write_file(path / MANIFEST, json.dumps(sealed, indent=1, ensure_ascii=False) + "\n", mode=0o644)


def _read_manifest(path: Path) -> Manifest:
    """Return the manifest of the bundle at `path`.

    Raises NoInputError if `path` does not exist or the manifest cannot be read. Raises DataError if there is no valid
    manifest.
    """
    if not path.exists():
        raise NoInputError(f"there is no model at {path}; name a model folder with --model")
    if not path.is_dir():
        raise DataError(f"{path} is a file, and a model is a folder with a {MANIFEST} in it; name that folder")
    try:
        manifest = json.loads(read_file(path, MANIFEST))
    except FileNotFoundError as error:
        raise DataError(f"{path} is not a spamlstm model: it has no {MANIFEST}; name another folder") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path / MANIFEST} is not valid JSON, so it is cut or damaged ({error}); install the model again"
        ) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise DataError(f"{path / MANIFEST} is not the manifest of a spamlstm model: it has no 'format'")
    return Manifest(path, manifest)


@contextlib.contextmanager
def open_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Open the file `name` of the bundle in `folder` for reading.

    Raises FileNotFoundError if the file is missing. Raises DataError if the file is a link, not a regular file, or too
    large. Raises NoInputError if the file cannot be read.
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
    """Return the content of the file `name` in `folder`. Raises the same errors as `open_file`."""
    with open_file(folder, name) as stream:
        # The size is bounded again because the file may have grown. The caller checks size and hash.
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
    """Return the hash of a file whose size is `most` bytes.

    If the file grows meanwhile, reading ends soon after `most` bytes.
    """
    digest = hashlib.sha256()
    while most >= 0 and (piece := stream.read(1 << 20)):
        digest.update(piece)
        most -= len(piece)
    return digest.hexdigest()


def _missing(path: Path, name: str) -> DataError:
    return DataError(f"the model {path} is incomplete: {name} is missing; install it again")
