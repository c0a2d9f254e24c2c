"""Compressed messages, as the plugins mail_compress and zlib of Dovecot store them in Maildirs.

gzip, bzip2 and xz are read by the standard library. zstd and LZ4 need the packages of the extra `compressed`. A
decompressor is imported when the first message needs it.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# Bytes of compressed data that are decompressed at once. 4 bytes of zstd may expand to 128 KB, and the package
# zstandard has no limit for its output.
_BLOCK = 1 << 10
# The largest number of gzip members, zstd frames or similar in one message. Servers write a single one, and opening
# millions of empty ones would take minutes.
_MOST_MEMBERS = 1000
# xz needs 65 MiB at its highest level, and its header may ask for 4 GiB. zstd may ask for a window of 2 GiB.
_MOST_MEMORY = 100 << 20
_MOST_WINDOW = 1 << 27
# bzip2 takes 0.15 s per MB, 40 times as long as the other formats.
_MOST_BZIP2 = 32 << 20
# Dovecot writes LZ4 in chunks of 64 KiB and refuses chunks above 1 MiB.
_MOST_CHUNK = 1 << 20
_MOST_CHUNKS = 20_000
_CHUNK_HEADER = 4
_DOVECOT_LZ4 = b"Dovecot-LZ4\x0d\x2a\x9b\xc5"
# The first block of bzip2 data, or the end of empty data.
_BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")


class _Format(NamedTuple):
    name: str
    magics: tuple[bytes, ...]
    package: str = ""
    """The package that is needed besides the standard library."""


_FORMATS = (
    _Format("gzip", (b"\x1f\x8b\x08",)),
    _Format("bzip2", tuple(b"BZh%d%b" % (level, block) for level in range(1, 10) for block in _BZIP2)),
    _Format("xz", (b"\xfd7zXZ\x00",)),
    _Format("zstd", (b"\x28\xb5\x2f\xfd",), "zstandard"),
    _Format("LZ4", (b"\x04\x22\x4d\x18", _DOVECOT_LZ4), "lz4"),
)
_MAGICS = tuple(magic for one in _FORMATS for magic in one.magics)


def decompressed(raw: bytes, *, most: int) -> bytes:
    """Return the plain bytes of a compressed message, at most `most` + 1 bytes. Never raises an exception.

    Returns `raw` itself if it is not compressed, is damaged, needs too much time or memory, or needs a package that is
    not installed.
    """
    if not is_compressed(raw):
        return raw
    try:
        pieces = _dovecot_lz4(raw, most + 1) if raw.startswith(_DOVECOT_LZ4) else _members(raw, most + 1)
        return b"".join(pieces)[: most + 1]
    except Exception:  # noqa: BLE001  each package has errors of its own, and some raise several kinds for damage
        return raw


def is_compressed(raw: bytes) -> bool:
    """Return whether bytes begin like a compressed file."""
    return raw.startswith(_MAGICS)


def missing_package(raw: bytes) -> str | None:
    """Return a phrase that names the missing package, to be shown after 'it is'. Return None if none is missing."""
    form = _format_of(raw)
    if form is None or not form.package:
        return None
    try:
        _decompressor(form)
    except ImportError:
        return f"compressed with {form.name}; install the package {form.package}, or spamlstm[compressed]"
    return None


def compression_defect(raw: bytes) -> str | None:
    """Return why `decompressed` returned bytes that are still compressed, to be shown after 'it is'.

    Returns None if the bytes are not compressed.
    """
    form = _format_of(raw)
    return None if form is None else missing_package(raw) or f"compressed with {form.name}, but damaged or too large"


def _format_of(raw: bytes) -> _Format | None:
    return next((one for one in _FORMATS if raw.startswith(one.magics)), None)


def _members(raw: bytes, left: int) -> Iterator[bytes]:
    """Yield the plain bytes of all members of `raw`, until there are at least `left` bytes.

    Bytes after a member that are not a further member of the same format are ignored, as gzip ignores them. Raises an
    exception if a member is damaged or truncated.
    """
    form = _format_of(raw)
    if form is None or (form.name == "bzip2" and len(raw) > _MOST_BZIP2):
        raise ValueError
    new, at, block = _decompressor(form), 0, b""
    for _ in range(_MOST_MEMBERS):
        member = new()
        while not member.eof:
            if not block:
                block = raw[at : at + _BLOCK]
                at += len(block)
                if not block:
                    raise EOFError
            # Not all decompressors accept a limit. Those that accept a limit keep unread data only if it is reached.
            piece = member.decompress(block, left) if form.name != "zstd" else member.decompress(block)
            block = b""
            yield piece
            left -= len(piece)
            if left <= 0:
                return
        block = member.unused_data or b""
        if not (block + raw[at : at + _BLOCK]).startswith(form.magics):
            return
    raise ValueError


def _decompressor(form: _Format) -> Callable[[], Any]:
    """Return a function that creates a decompressor. Raises ImportError if its package is not installed."""
    match form.name:
        case "gzip":
            zlib = importlib.import_module("zlib")
            return lambda: zlib.decompressobj(wbits=31)
        case "bzip2":
            return importlib.import_module("bz2").BZ2Decompressor  # type: ignore[no-any-return]
        case "xz":
            lzma = importlib.import_module("lzma")
            return lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
        case "zstd":
            with contextlib.suppress(ImportError):  # in the standard library since Python 3.14
                return importlib.import_module("compression.zstd").ZstdDecompressor  # type: ignore[no-any-return]
            zstandard = importlib.import_module("zstandard")
            return lambda: zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
        case _:
            return importlib.import_module("lz4.frame").LZ4FrameDecompressor  # type: ignore[no-any-return]


def _dovecot_lz4(raw: bytes, left: int) -> Iterator[bytes]:
    """Yield the plain bytes of Dovecot's own LZ4 format, until there are at least `left` bytes.

    After a header with the largest size of a plain chunk follow chunks, each with its compressed size in front. Raises
    an exception if the data is damaged.
    """
    lz4 = importlib.import_module("lz4.block")
    at = len(_DOVECOT_LZ4)
    most = int.from_bytes(raw[at : at + _CHUNK_HEADER], "big")
    at += _CHUNK_HEADER
    if not 0 < most <= _MOST_CHUNK:
        raise ValueError
    for _ in range(_MOST_CHUNKS):
        if left <= 0 or at == len(raw):
            return
        size = int.from_bytes(raw[at : at + _CHUNK_HEADER], "big")
        at += _CHUNK_HEADER
        chunk = raw[at : at + size]
        if not size or len(chunk) < size:
            raise EOFError
        piece = lz4.decompress(chunk, uncompressed_size=most)
        yield piece
        at += size
        left -= len(piece)
    raise ValueError
