"""A reader of labelled mail (ham or spam) in corpus archives, folders, Maildirs and mboxes.

A corpus archive is a tar file with an index (`index.tsv`) and a file `mail/ID.eml` for each message. The index has one
line for each message with its id, label, source and date. A corpus may also be a folder with the same files.
"""

import contextlib
import gzip
import lzma
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

from spamlstm.corpus.paths import MOST_BYTES, NO_MAIL, UnreadablePath, find_messages, read_most
from spamlstm.errors import DataError, NoInputError, OutputError, UserError, reason_of
from spamlstm.files import open_regular

LABELS = ("ham", "spam")
INDEX = "index.tsv"
# The largest size of an index, which is read into memory. The index of a million messages has about 100 MB.
MOST_INDEX_BYTES = 512 << 20
ARCHIVE_NAME = re.compile(r"\.(tar|tar\.(xz|gz|bz2)|txz|tgz)$")
# The errors for damaged files. A truncated gzip or xz file raises EOFError, a truncated tar file raises ReadError.
_DAMAGE = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message with its label, which is 'ham' or 'spam'. `date` is in ISO format, or empty if unknown."""

    id: str
    label: str
    source: str
    date: str
    raw: bytes = b""


def read_labelled(path: Path) -> Iterator[Labelled]:
    """Yield the labelled mail at `path` in the order of the index, or without an index in the order of `find_messages`.

    `path` is a corpus archive (index.tsv and mail/ID.eml), a folder with the same files, or a folder with ham/ and
    spam/. These two folders contain mail files, Maildirs and mboxes at any depth. With ':ham' or ':spam' at its end,
    `path` may also be one Maildir, one mbox, one folder of mail files or one mail file.

    Only the index and one message, truncated to MOST_BYTES + 1 bytes, are in memory. Raises NoInputError immediately if
    `path` does not exist. Raises DataError if `path` is not labelled mail, immediately if possible and otherwise during
    the iteration.
    """
    path, label = split_label(path)
    archive = path.is_file() and ARCHIVE_NAME.search(path.name)
    if label is not None and archive:
        raise DataError(f"{path}: an archive has its own labels; leave out ':{label}'")
    if label is not None:
        return _unsorted(path, label)
    if path.is_dir():
        return _folder(path)
    if archive:
        return _archive(path)
    raise DataError(
        f"{path}: not an archive or folder of labelled mail; if all mail has one label, write '{path}:ham' or ':spam'"
    )


def count_labelled(path: Path) -> int | None:
    """Return the number of messages in the index, which is the number of messages that `read_labelled` yields.

    Return None if there is no index, if the index is not at the beginning of the archive, or if the input is unreadable
    or damaged.
    """
    try:
        if (path / INDEX).is_file():
            return len(_parse_index(_bytes(path / INDEX), where="", source=""))
        if path.is_file() and ARCHIVE_NAME.search(path.name):
            name, raw = next(_members(path), ("", b""))
            return len(_parse_index(raw, where="", source="")) if name == INDEX else None
    except UserError:
        pass  # `read_labelled` raises the error again
    return None


def split_label(path: Path) -> tuple[Path, str | None]:
    """Return the path and the label of 'PATH:ham' or 'PATH:spam'. A path that exists with its suffix is not split.

    Raises NoInputError if the path does not exist.
    """
    label = None
    stem, colon, tail = str(path).rpartition(":")
    if colon and stem and tail in LABELS and not path.exists():
        path, label = Path(stem), tail
    if not path.exists():
        raise NoInputError(f"{path}: no such file or folder")
    return path, label


# --- archives -------------------------------------------------------------------------------------------------------


class _Spool:
    """A temporary file for messages that come earlier in the archive than in the order of the index.

    An archive in any order can therefore be read with little memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._spans: dict[str, tuple[int, int]] = {}

    def put(self, name: str, raw: bytes) -> None:
        self._spans[name] = (self._file.seek(0, os.SEEK_END), len(raw))
        self._file.write(raw)

    def take(self, name: str) -> bytes | None:
        if name not in self._spans:
            return None
        start, size = self._spans.pop(name)
        self._file.seek(start)
        return self._file.read(size)


def _archive(path: Path) -> Iterator[Labelled]:
    """Yield the mail of an archive in the order of its index, in one pass. The index may be anywhere in the archive."""
    index: list[Labelled] | None = None
    done = 0
    # `_members` raises no OSError, so an OSError is that of the temporary file.
    with _temporary_files(path), tempfile.TemporaryFile() as file:
        spool = _Spool(file)
        for name, raw in _members(path):
            if name == INDEX:
                index = _parse_index(raw, where=f"{path}: {INDEX}", source=_stem(path))
            elif index is not None and done < len(index) and name == index[done].id:
                yield replace(index[done], raw=raw)
                done += 1
            else:
                spool.put(name, raw)
            while index is not None and done < len(index) and (early := spool.take(index[done].id)) is not None:
                yield replace(index[done], raw=early)
                done += 1
    if index is None:
        raise DataError(f"{path}: has no {INDEX}; it is not a corpus archive, or it is truncated")
    if done < len(index):
        raise DataError(f"{path}: mail/{index[done].id}.eml is in its {INDEX} but missing; the archive is incomplete")


@contextlib.contextmanager
def _temporary_files(path: Path) -> Iterator[None]:
    """Raise OutputError, which says what to do, if the code in the context cannot write its temporary file."""
    try:
        yield
    except OSError as error:
        folder = tempfile.tempdir or "any folder"
        raise OutputError(
            f"{path}: a temporary file cannot be written to {folder} ({reason_of(error)}); name another folder with the"
            " variable TMPDIR"
        ) from error


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each index and message in the archive. The name is INDEX or a message id."""
    try:
        # The stream mode "r|" is not used, because it does not detect a truncated compressed file.
        with tarfile.open(path, "r:*") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # otherwise all members stay in memory
                name = _member_name(member)
                if name is not None and (content := archive.extractfile(member)) is not None:
                    yield name, _content(content, member.size, is_index=name == INDEX, where=f"{path}: {INDEX}")
            _read_out(archive)
    except _DAMAGE as error:
        why = str(error).partition(":\n")[0]  # without a list of all formats that were tried
        raise DataError(f"{path}: the archive is damaged or truncated ({why})") from error
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _content(stream: IO[bytes], size: int, *, is_index: bool, where: str) -> bytes:
    """Return a message, truncated to MOST_BYTES + 1 bytes, or a complete index.

    `size` is the number of bytes in the stream. Raises DataError if an index is too large.
    """
    if is_index and size > MOST_INDEX_BYTES:
        raise DataError(f"{where}: is larger than {MOST_INDEX_BYTES >> 20} MiB; divide the corpus into several")
    return read_most(stream, MOST_INDEX_BYTES if is_index else MOST_BYTES + 1)


def _read_out(archive: tarfile.TarFile) -> None:
    """Read the rest of the archive after the last member, so that the checksum at its end is verified."""
    while archive.fileobj.read(1 << 16):
        pass


def _member_name(member: tarfile.TarInfo) -> str | None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if not member.isfile() or not parts:
        return None
    if parts[-1] == INDEX:
        return INDEX
    if "mail" in parts and parts[-1].endswith(".eml"):
        return "/".join(parts[parts.index("mail") + 1 :]).removesuffix(".eml")
    return None


def _stem(path: Path) -> str:
    return ARCHIVE_NAME.sub("", path.name)


# --- the index ------------------------------------------------------------------------------------------------------


def _parse_index(content: bytes, *, where: str, source: str) -> list[Labelled]:
    """Return the entries of an index, without the mail. `where` names the index in error messages.

    Raises DataError if the index is invalid. The error names the first invalid line, if there is one.
    """
    lines = content.decode("utf-8", "replace").splitlines()
    columns = lines[0].split("\t") if lines else []
    if not {"id", "label"} <= set(columns):
        raise DataError(f"{where}: the first line must name the columns id, label, source, date, separated by tabs")
    entries = [
        _entry(dict(zip(columns, line.split("\t"), strict=False)), where=f"{where}: line {number}", source=source)
        for number, line in enumerate(lines[1:], start=2)
        if line.strip()
    ]
    if not entries:
        raise DataError(f"{where}: there is no message in the index")
    known: set[str] = set()
    for entry in entries:
        if entry.id in known:
            raise DataError(f"{where}: the id '{entry.id}' occurs twice")
        known.add(entry.id)
    return entries


def _entry(row: dict[str, str], *, where: str, source: str) -> Labelled:
    label = row.get("label", "")
    if label not in LABELS:
        raise DataError(f"{where}: the label is '{label}', not ham or spam")
    if not row["id"]:
        raise DataError(f"{where}: the id is empty")
    return Labelled(row["id"], label, row.get("source") or source, row.get("date", ""))


# --- folders --------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Iterator[Labelled]:
    if (path / INDEX).is_file():
        return _indexed(path)
    found = [label for label in LABELS if (path / label).is_dir()]
    if not found:
        raise DataError(
            f"{path}: there is no labelled mail, neither {INDEX} and mail/ nor ham/ and spam/; "
            f"if all its mail has one label, also that in subfolders such as .Junk, write '{path}:ham' or '{path}:spam'"
        )
    return _sorted_by_label(path, found)


def _indexed(path: Path) -> Iterator[Labelled]:
    entries = _parse_index(_bytes(path / INDEX, is_index=True), where=str(path / INDEX), source=path.resolve().name)
    return (replace(entry, raw=_bytes(path / "mail" / f"{entry.id}.eml")) for entry in entries)


def _sorted_by_label(path: Path, labels: list[str]) -> Iterator[Labelled]:
    for label in labels:
        yield from _all_of(path / label, label, source=path.resolve().name, above=path)


def _unsorted(path: Path, label: str) -> Iterator[Labelled]:
    return _all_of(path, label, source=path.resolve().name, above=path if path.is_dir() else path.parent)


def _all_of(path: Path, label: str, *, source: str, above: Path) -> Iterator[Labelled]:
    """Yield all mail at or below `path` with the label `label`. The ids are paths relative to `above`.

    Raises DataError if there is no mail. Raises NoInputError if a path cannot be read.
    """
    for found in find_messages([str(path)]):
        if isinstance(found, UnreadablePath):
            if found.why == NO_MAIL:
                raise DataError(f"{found.name}: {NO_MAIL}")
            raise NoInputError(f"{found.name}: cannot be read ({found.why})")
        try:
            raw = found.read()
        except OSError as error:
            raise NoInputError(f"{found.name}: cannot be read ({error.strerror or error})") from error
        yield Labelled(os.path.relpath(found.name, above), label, source, "", raw)


def _bytes(file: Path, *, is_index: bool = False) -> bytes:
    try:
        with open_regular(file) as stream:
            return _content(stream, os.fstat(stream.fileno()).st_size, is_index=is_index, where=str(file))
    except FileNotFoundError as error:
        raise DataError(f"{file}: this file is in the index but does not exist") from error
    except OSError as error:
        raise NoInputError(f"{file}: cannot be read ({error.strerror})") from error
