"""The files of a bundle: regular files with plain names in one folder, each no larger than it may be.

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
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from spamlstm.errors import DataError, NoInputError
from spamlstm.files import regular_descriptor

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


def is_plain(name: str) -> bool:
    """Whether it is a word that may stand in a header, a log or a file's name: ASCII letters, digits and `._+-`."""
    return _PLAIN.fullmatch(name) is not None


def most_bytes(name: str) -> int:
    """How large a file of that name may be."""
    return _MOST_BYTES.get(name, 16 << 20)


@contextlib.contextmanager
def open_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """One file of a bundle, open to be read.

    FileNotFoundError if it is missing. Else, where it is no regular file, is a link or is too large, a DataError; where
    it cannot be read, a NoInputError.
    """
    try:
        handle = regular_descriptor(folder / name, follow=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL):
            raise _refused(folder, name, "is a link" if error.errno == errno.ELOOP else "is no regular file") from error
        raise NoInputError(f"{folder / name} cannot be read: {error.strerror or error}") from error
    with open(handle, "rb") as stream:  # noqa: PTH123  it is open already
        if os.fstat(handle).st_size > most_bytes(name):
            raise _refused(folder, name, f"is larger than the {most_bytes(name):,} bytes that it may have")
        yield stream


def read_file(folder: Path, name: str) -> bytes:
    """All bytes of one file; errors as `opened` has them."""
    with open_file(folder, name) as stream:
        # A file that grows meanwhile is read no further; its size and its hash are for the caller to check.
        return stream.read(most_bytes(name))


def _refused(folder: Path, name: str, why: str) -> DataError:
    return DataError(
        f"the model {folder} cannot be used: {name} {why}, and a model is a folder of regular files; install it again"
    )
