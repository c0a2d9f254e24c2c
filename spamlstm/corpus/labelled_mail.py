"""Labelled mail, one message at a time: corpus archives, folders with an index or sorted by label, Maildirs, mboxes."""

import gzip
import io
import lzma
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spamlstm.errors import DataError, NoInputError, UserError
from spamlstm.files import open_regular

LABELS = ("ham", "spam")
INDEX = "index.tsv"
ARCHIVE_NAME = re.compile(r"\.(tar|tar\.(xz|gz|bz2)|txz|tgz)$")
# A separator of an mbox has a clock time; "From here on ..." at the start of a paragraph has none.
MBOX_SEPARATOR = re.compile(rb"From (?>.*\d:\d\d).*+\n?\Z")
MBOX_QUOTED = re.compile(rb">+From ")
# What a decompressor and tarfile raise on damage; a cut gzip or xz is an EOFError, a cut tar a ReadError.
BROKEN_ARCHIVE = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One message and what people say of it. `label` is 'ham' or 'spam'; `date` is ISO or empty where unknown."""

    id: str
    label: str
    source: str
    date: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A line of an index: all but the mail itself."""

    id: str
    label: str
    source: str
    date: str

    def with_mail(self, raw: bytes) -> Labelled:
        """The whole, with the mail that the line tells of."""
        return Labelled(self.id, self.label, self.source, self.date, raw)


def read_labelled(path: Path, label: str | None = None) -> Iterator[Labelled]:
    """Read the labelled mail at `path`, in the order of its index where it has one, else sorted by name.

    `path` is an archive in the corpus format (index.tsv and mail/ID.eml), a folder with the same inside, or a folder
    with ham/ and spam/, below which lie mail files, Maildirs and mboxes at any depth. With `label`, or with ':ham' or
    ':spam' after the path, it may also be one Maildir, one mbox, one folder of mail files or one mail file.

    NoInputError when nothing can be read there, at once; DataError when what is there is not labelled mail, at once
    where it shows at once, else when the reading gets that far. Holds one message in memory, and the index.
    """
    path, label = split_label(path, label)
    archive = path.is_file() and ARCHIVE_NAME.search(path.name)
    if label is not None and archive:
        raise DataError(f"{path}: an archive brings its own labels; leave out ':{label}'")
    if label is not None:
        return _unsorted(path, label)
    if path.is_dir():
        return _folder(path)
    if archive:
        return _archive(path)
    raise DataError(
        f"{path}: no archive or folder of labelled mail; if it is all of one kind say '{path}:ham' or ':spam'"
    )


def count_labelled(path: Path) -> int | None:
    """How many messages `read` will give, where an index at the start tells it cheaply; else None. Raises nothing."""
    try:
        if (path / INDEX).is_file():
            return len(_parse_index(_bytes(path / INDEX), where="", source=""))
        if path.is_file() and ARCHIVE_NAME.search(path.name):
            name, raw = next(_members(path), ("", b""))
            return len(_parse_index(raw, where="", source="")) if name == INDEX else None
    except UserError:
        pass  # `read` will say what is wrong
    return None


def split_label(path: Path, label: str | None = None) -> tuple[Path, str | None]:
    """Part 'PATH:ham' into path and label, unless a file of that very name exists. NoInputError if there is none."""
    if label is not None and label not in LABELS:
        raise DataError(f"{path}: '{label}' is no label; use ham or spam")
    stem, colon, tail = str(path).rpartition(":")
    if label is None and colon and stem and tail in LABELS and not path.exists():
        path, label = Path(stem), tail
    if not path.exists():
        raise NoInputError(f"{path}: no such file or folder")
    return path, label


# --- archives -------------------------------------------------------------------------------------------------------


class _Shelf:
    """Mail that came before its turn, kept in an unnamed file so that an archive in any order needs little memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}

    def put(self, name: str, raw: bytes) -> None:
        self._places[name] = (self._file.seek(0, os.SEEK_END), len(raw))
        self._file.write(raw)

    def take(self, name: str) -> bytes | None:
        if name not in self._places:
            return None
        start, size = self._places.pop(name)
        self._file.seek(start)
        return self._file.read(size)


def _archive(path: Path) -> Iterator[Labelled]:
    """The mail of an archive in the order of its index, in one pass, wherever in the archive the index lies."""
    entries: list[IndexEntry] | None = None
    done = 0
    with tempfile.TemporaryFile() as file:
        shelf = _Shelf(file)
        for name, raw in _members(path):
            if name == INDEX:
                entries = _parse_index(raw, where=f"{path}: {INDEX}", source=_stem(path))
            elif entries is not None and done < len(entries) and name == entries[done].id:
                yield entries[done].with_mail(raw)
                done += 1
            else:
                shelf.put(name, raw)
            while entries is not None and done < len(entries) and (early := shelf.take(entries[done].id)) is not None:
                yield entries[done].with_mail(early)
                done += 1
    if entries is None:
        raise DataError(f"{path}: has no {INDEX}, so it is no corpus archive or it is cut short")
    if done < len(entries):
        raise DataError(f"{path}: mail/{entries[done].id}.eml of its {INDEX} is missing; the archive is not whole")


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(INDEX or the id of a message, content) of each member that matters, in the order of the archive."""
    try:
        # Not the stream mode "r|": that takes a compressed file which ends too early for a whole one.
        with tarfile.open(path, "r:*") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps a record of each member it met
                name = _member_name(member)
                if name is not None and (content := archive.extractfile(member)) is not None:
                    yield name, content.read()
            _read_out(archive)
    except BROKEN_ARCHIVE as error:
        raise DataError(f"{path}: the archive is damaged or cut short ({error})") from error
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_out(archive: tarfile.TarFile) -> None:
    """Read what follows the last member, for the checksum of the whole comes at the very end."""
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


def _parse_index(content: bytes, *, where: str, source: str) -> list[IndexEntry]:
    """The lines of an index. DataError names the line that is wrong."""
    lines = content.decode("utf-8", "replace").splitlines()
    columns = lines[0].split("\t") if lines else []
    if not {"id", "label"} <= set(columns):
        raise DataError(f"{where}: the first line must name the columns id, label, source, date, parted by tabs")
    entries = [
        _entry(dict(zip(columns, line.split("\t"), strict=False)), where=f"{where}: line {number}", source=source)
        for number, line in enumerate(lines[1:], start=2)
        if line.strip()
    ]
    if not entries:
        raise DataError(f"{where}: lists no message")
    _refuse_doubles(entries, where)
    return entries


def _entry(row: dict[str, str], *, where: str, source: str) -> IndexEntry:
    label = row.get("label", "")
    if label not in LABELS:
        raise DataError(f"{where}: the label is '{label}', not ham or spam")
    if not row["id"]:
        raise DataError(f"{where}: the id is empty")
    return IndexEntry(row["id"], label, row.get("source") or source, row.get("date", ""))


def _refuse_doubles(entries: list[IndexEntry], where: str) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise DataError(f"{where}: the id '{entry.id}' stands in it twice")
        seen.add(entry.id)


# --- folders --------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Iterator[Labelled]:
    if (path / INDEX).is_file():
        return _indexed(path)
    found = [label for label in LABELS if (path / label).is_dir()]
    if not found:
        raise DataError(
            f"{path}: no labelled mail: it has neither {INDEX} and mail/ nor ham/ and spam/; "
            f"for a Maildir or a folder of one kind say '{path}:ham' or '{path}:spam'"
        )
    return _sorted_by_label(path, found)


def _indexed(path: Path) -> Iterator[Labelled]:
    entries = _parse_index(_bytes(path / INDEX), where=str(path / INDEX), source=path.resolve().name)
    return (entry.with_mail(_bytes(path / "mail" / f"{entry.id}.eml")) for entry in entries)


def _sorted_by_label(path: Path, labels: list[str]) -> Iterator[Labelled]:
    source = path.resolve().name
    for label in labels:
        yield from _all_of(path / label, label, source=source, name=lambda file: str(file.relative_to(path)))


def _unsorted(path: Path, label: str) -> Iterator[Labelled]:
    source = path.resolve().name
    name = (lambda file: str(file.relative_to(path))) if path.is_dir() else (lambda file: file.name)
    return _all_of(path, label, source=source, name=name)


def _all_of(path: Path, label: str, *, source: str, name: Callable[[Path], str]) -> Iterator[Labelled]:
    """All mail at or below `path`, as `label`. DataError if there is none."""
    empty = True
    for file in _mail_files(path):
        for part, raw in _messages(file):
            empty = False
            yield Labelled(name(file) + part, label, source, "", raw)
    if empty:
        raise DataError(f"{path}: there is no mail in it")


def _mail_files(path: Path) -> Iterator[Path]:
    """The files that may be mail, sorted. Of a Maildir those in new and cur; links to folders are not followed."""
    if not path.is_dir():
        yield path
        return
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror})") from error
    maildir = (path / "cur").is_dir() and (path / "new").is_dir()
    for child in inside:
        if child.is_dir():
            if not child.is_symlink() and not (maildir and child.name == "tmp"):
                yield from _mail_files(child)
        elif not maildir and not child.name.startswith(".") and child.is_file():
            yield child


def _messages(file: Path) -> Iterator[tuple[str, bytes]]:
    """(what to add to the name, raw) of each message of a file: many for an mbox, else one."""
    # A single message may start with a 'From ' line too: what its name or its place in a Maildir calls one, is one.
    if file.suffix == ".eml" or file.parent.name in ("new", "cur") or not _starts_like_mbox(file):
        yield "", _bytes(file)
        return
    for number, raw in enumerate(_mbox(file), start=1):
        yield f"#{number}", raw


def _starts_like_mbox(file: Path) -> bool:
    try:
        with open_regular(file) as stream:
            return stream.read(5) == b"From "
    except OSError as error:
        raise NoInputError(f"{file}: cannot be read ({error.strerror})") from error


def _mbox(file: Path) -> Iterator[bytes]:
    """The messages of an mbox, without their separator lines, '>From ' put back to 'From ' (mboxrd)."""
    lines: list[bytes] = []
    after_blank = True
    with io.BufferedReader(open_regular(file)) as stream:
        next(stream)  # the first separator, whatever its form
        for line in stream:
            if after_blank and MBOX_SEPARATOR.match(line):
                yield b"".join(lines)
                lines = []
            else:
                lines.append(line[1:] if MBOX_QUOTED.match(line) else line)
            after_blank = not line.strip()
    yield b"".join(lines)


def _bytes(file: Path) -> bytes:
    try:
        with open_regular(file) as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise DataError(f"{file}: the index names it, but it is missing") from error
    except OSError as error:
        raise NoInputError(f"{file}: cannot be read ({error.strerror})") from error
