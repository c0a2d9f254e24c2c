"""The training data: corpora as rendered text, with the source, date and near-duplicate group of each message."""

import hashlib
import os
import pickle
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError, NoInputError
from spamlstm.features.render import TEXT_VERSION, cut_windows, render
from spamlstm.files import replacement
from spamlstm.message.message import parse_message
from spamlstm.model.encoder import Vocabulary
from spamlstm.model.text_groups import groups, text_to_compare

from .batches import Example
from .evaded import Donors, evaded_copy
from .generated import EVADED, Modern, dressed_mail, synthetic_mail
from .innocent import innocent_text

_CHUNK = 400
_ALONE = 2
"""Chunks that are rendered in this process before others are started."""
_AHEAD = 12
"""Chunks of raw mail that are read ahead of rendering; few, to save memory."""
_PLACEHOLDER = re.compile(r"\bexample\b")
"""The reserved domain names of RFC 2606. Archives put them in the place of real ones, mostly in ham."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of reading a message: tokens of header and window, UTF-8 bytes of a window, windows of a message.

    `piece` is the tokens of a piece, in which doubtful messages are read. With 0, they are not.
    """

    header: int = 168
    window: int = 288
    window_bytes: int = 1000
    windows: int = 6
    style: bool = True
    piece: int = 48


@dataclass(frozen=True, slots=True)
class Row:
    """One rendered message. `source` is the first component of the source in the corpus, `place` its index there.

    Messages of one `kin`, such as the translations of one text, are one group even if they differ.
    """

    id: str
    source: str
    date: str
    place: int
    spam: bool
    windows: tuple[str, ...]
    kin: str = ""


@dataclass(frozen=True)
class Dataset:
    """All messages. The arrays are aligned with `rows`; `group` numbers groups of near-duplicates."""

    rows: Sequence[Row]
    group: NDArray[np.int64]
    spam: NDArray[np.bool_]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """Return a hash of the ids, sources, dates, labels and rendered texts of all messages, in order."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self.rows:
            digest.update(repr((row.id, row.source, row.date, row.spam, row.windows)).encode("utf-8", "replace"))
        return digest.hexdigest()

    def encode_one(self, index: int, vocabulary: Vocabulary, limits: Limits) -> Example:
        """Return one message as token ids."""
        return _encode(self.rows[index], vocabulary, limits)

    def encode(self, vocabulary: Vocabulary, limits: Limits) -> list[Example]:
        """Return all messages as token ids."""
        return [_encode(row, vocabulary, limits) for row in self.rows]


def without_placeholders(data: Dataset) -> Dataset:
    """Return the data without the word `example`, for training.

    In real mail this word says nothing. In these archives it says that somebody replaced the names of hosts, which a
    network would learn as evidence of ham.
    """
    return replace(data, rows=[_without_placeholders(row) for row in data.rows])


def _without_placeholders(row: Row) -> Row:
    if not any("example" in window for window in row.windows):
        return row
    return replace(row, windows=tuple(_PLACEHOLDER.sub("", window) for window in row.windows))


def load(
    paths: Sequence[Path],
    *,
    limits: Limits,
    first: int | None,
    synthetic: int,
    seed: int,
    tick: Callable[[int], None],
    modern: Modern | None = None,
    evaded: float = 0.0,
) -> Dataset:
    """Read, render and group the corpora at `paths`: archives, folders, or a folder of archives.

    Only the first `first` messages of each corpus are read, and `synthetic` generated messages and those of `modern`
    are added. A share `evaded` of the messages of the corpora get a disguised copy. `tick` gets the number of further
    messages done. DataError if there is no mail.
    """
    rows: list[Row] = []
    chunks = _chunks(paths, first=first, synthetic=synthetic, seed=seed, modern=modern)
    if evaded:
        chunks = _with_copies(chunks, evaded, seed)
    for done in _rendered(chunks, limits):
        rows += done
        tick(len(done))
    if not rows:
        raise DataError("there is no mail to train on; name other archives or folders with --corpus")
    return Dataset(
        rows=rows,
        group=joined(groups(text_to_compare(row.windows[0]) for row in rows), [row.kin for row in rows]),
        spam=np.array([row.spam for row in rows]),
        source=np.array([row.source for row in rows]),
    )


def load_kept(path: Path, corpora: Sequence[Path], *, tick: Callable[[int], None], **options: Any) -> Dataset:
    """Return the result of `load`, which is kept in the file `path` and read from there the next time.

    A file that was made from other corpora or with other options is replaced. Changed mail is not noticed.
    """
    identity = repr((TEXT_VERSION, [corpus.absolute() for corpus in corpora], options))
    if path.exists():
        with path.open("rb") as stream:
            if pickle.load(stream) == identity:  # noqa: S301  the user's own file, as are the checkpoints
                kept: Dataset = pickle.load(stream)  # noqa: S301
                return kept
    data = load(corpora, tick=tick, **options)
    with replacement(path) as out:
        pickle.dump(identity, out)
        pickle.dump(data, out, protocol=5)
    return data


@dataclass(frozen=True, slots=True)
class _Mail:
    place: int
    mail: labelled_mail.Labelled
    kin: str = ""
    copied: bool = False


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some messages. `donors` are messages whose sentences pad the copies of those that are `copied`."""

    mails: Sequence[_Mail]
    generated: bool
    donors: tuple[bytes, ...] = ()
    seed: int = 0


def joined(group: NDArray[np.int64], kins: Sequence[str]) -> NDArray[np.int64]:
    """Return the groups with those joined that have messages of one kin. An empty kin joins nothing."""
    parent = {number: number for number in group.tolist()}

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    first_of: dict[str, int] = {}
    for number, kin in zip(group.tolist(), kins, strict=True):
        if kin:
            one, other = sorted((root(number), root(first_of.setdefault(kin, number))))
            parent[other] = one
    return np.array([root(number) for number in group.tolist()], np.int64)


def _chunks(
    paths: Sequence[Path], *, first: int | None, synthetic: int, seed: int, modern: Modern | None
) -> Iterator[_Chunk]:
    real = [(_numbered(path), False) for path in list(_archives(paths))]
    for corpus, generated in (*real, *((mails, True) for mails in _generated(synthetic, modern, seed))):
        mails = islice(corpus, first)
        while chunk := list(islice(mails, _CHUNK)):
            yield _Chunk(chunk, generated)


def _with_copies(chunks: Iterator[_Chunk], share: float, seed: int) -> Iterator[_Chunk]:
    """Yield the chunks, with a share of the real messages marked to be copied. A copy has the kin of its original."""
    donors = Donors(seed)
    for chunk in chunks:
        if chunk.generated:
            yield chunk
            continue
        if chunk.mails[0].place == 0:
            donors.next_corpus()
        given = donors.take(one.mail.raw for one in chunk.mails if one.mail.label == "ham")
        marked = [
            replace(one, copied=True, kin=one.kin or f"{one.mail.source}/{one.mail.id}")
            if Random(f"{seed} {one.mail.source} {one.mail.id}").random() < share
            else one
            for one in chunk.mails
        ]
        yield replace(chunk, mails=marked, donors=given, seed=seed)


def _rendered(chunks: Iterator[_Chunk], limits: Limits) -> Iterator[list[Row]]:
    """Yield the rows of each chunk, in order. After the first chunks, all cores render."""
    head = list(islice(chunks, _ALONE))
    for chunk in head:
        yield _render(chunk, limits)
    if len(head) < _ALONE:
        return
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        waiting: deque[Future[list[Row]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_render, chunk, limits))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # interrupted: drop what has not been started
            pool.shutdown(cancel_futures=True)


def _archives(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each corpus; a folder of archives stands for the archives in it. NoInputError if a path has no mail."""
    for path in paths:
        marks = (labelled_mail.INDEX, *labelled_mail.LABELS)
        if not path.is_dir() or any((path / mark).exists() for mark in marks):
            labelled_mail.split_label(path)  # fails now, not after an hour of reading other corpora
            yield path
            continue
        inside = sorted(entry for entry in path.iterdir() if labelled_mail.ARCHIVE_NAME.search(entry.name))
        if not inside:
            raise NoInputError(
                f"{path} has no archive, no index.tsv and no ham/ and spam/; name another --corpus, "
                f"or write '{path}:ham' or ':spam' if all its mail is of one class"
            )
        yield from inside


def _numbered(path: Path) -> Iterator[_Mail]:
    return (_Mail(place, mail) for place, mail in enumerate(labelled_mail.read_labelled(path)))


def _generated(synthetic: int, modern: Modern | None, seed: int) -> Iterator[Iterator[_Mail]]:
    """Yield the generated mail: synthetic mail, then dressed mail."""
    yield (_Mail(place, mail) for place, mail in enumerate(synthetic_mail(synthetic, seed)))
    if modern is not None:
        yield (_Mail(place, mail, kin) for place, (mail, kin) in enumerate(dressed_mail(modern, seed)))


def _render(chunk: _Chunk, limits: Limits) -> list[Row]:
    rows = [_row(one, one.mail.raw, limits) for one in chunk.mails]
    if any(one.copied for one in chunk.mails):
        innocent = innocent_text(chunk.donors)
        for one in chunk.mails:
            rng = Random(f"copy {chunk.seed} {one.mail.source} {one.mail.id}")
            raw = evaded_copy(one.mail.raw, one.mail.label, innocent, rng) if one.copied else None
            if raw is not None:
                copy = _row(one, raw, limits)
                rows.append(replace(copy, source=EVADED + copy.source))
    return rows


def _row(one: _Mail, raw: bytes, limits: Limits) -> Row:
    rendered = render(parse_message(raw))
    windows = cut_windows(rendered, size=limits.window_bytes, most=limits.windows, style=limits.style)
    return Row(
        id=one.mail.id,
        source=one.mail.source.partition("/")[0],
        date=one.mail.date,
        place=one.place,
        spam=one.mail.label == "spam",
        windows=tuple(windows),
        kin=one.kin,
    )


def _encode(row: Row, vocabulary: Vocabulary, limits: Limits) -> Example:
    parts = [vocabulary.split_ids(text, header=limits.header, body=limits.window) for text in row.windows]
    return Example(
        header=np.array(parts[0][0], np.uint16),
        windows=tuple(np.array(body, np.uint16) for _, body in parts),
        spam=row.spam,
    )
