"""Access to the files of a bundle: regular files with plain names in one folder, each of a bounded size.

| file | at most |
|---|---|
| manifest.json | 1 MiB |
| README.md | 256 KiB |
| tokenizer.json | 8 MiB |
| model.onnx | 64 MiB |
| wide.npy | 17 MiB |
| weights.safetensors | 256 MiB |
| any other that the manifest lists | 16 MiB |
"""

import contextlib
import errno
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from spamlstm.errors import DataError, NoInputError
from spamlstm.files import open_regular

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
_KINDS = {errno.ELOOP: "is a link", errno.EINVAL: "is no regular file"}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)


def is_plain(name: str) -> bool:
    """Return whether `name` is safe in headers, logs and file names: ASCII letters, digits and `._+-`."""
    return _PLAIN.fullmatch(name) is not None


def most_bytes(name: str) -> int:
    """Return the largest allowed size of a file of that name."""
    return _MOST_BYTES.get(name, 16 << 20)


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
        # The bound holds if the file grows meanwhile; the caller checks size and hash.
        return stream.read(most_bytes(name))


def _refused(folder: Path, name: str, why: str) -> DataError:
    return DataError(
        f"the model {folder} cannot be used: {name} {why}; a model is a folder of regular files, so install it again"
    )
