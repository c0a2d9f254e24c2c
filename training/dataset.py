"""Corpora in, messages as the text path renders them out, with what a fair split needs to know of each."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError, NoInputError
from spamlstm.features.render import BODY, render
from spamlstm.features.windows import cut_windows
from spamlstm.message.message import parse_message
from spamlstm.model.near_duplicates import groups
from spamlstm.model.vocabulary import Vocabulary

from .batches import Example

SYNTHETIC = "synthetic"
_CHUNK = 400
# So many chunks are rendered in this process before others are started to help.
_ALONE = 2
# Chunks read ahead of those that are rendered: each holds raw mail, so not many.
_AHEAD = 12
# A group needs words to be told by; of a body with less than this the header takes part.
_TELLING = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is read: header and window in tokens, a window in UTF-8 bytes, windows of one message."""

    header: int = 144
    window: int = 288
    window_bytes: int = 1000
    windows: int = 6
    style: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One rendered message. `source` is the first component of the corpus's own, `place` its order in the corpus."""

    id: str
    source: str
    date: str
    place: int
    spam: bool
    windows: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """All messages; arrays are aligned with `rows`."""

    rows: Sequence[Row]
    group: NDArray[np.int64]
    spam: NDArray[np.bool_]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """The same for the same messages with the same labels in the same order, as they are rendered."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self.rows:
            digest.update(repr((row.id, row.source, row.date, row.spam, row.windows)).encode("utf-8", "replace"))
        return digest.hexdigest()

    def encode_one(self, index: int, vocabulary: Vocabulary, limits: Limits) -> Example:
        """One message as ids."""
        return _encode(self.rows[index], vocabulary, limits)

    def encode(self, vocabulary: Vocabulary, limits: Limits) -> list[Example]:
        """Every message as ids."""
        return [_encode(row, vocabulary, limits) for row in self.rows]


def load(
    paths: Sequence[Path], *, limits: Limits, first: int | None, synthetic: int, seed: int, tick: Callable[[int], None]
) -> Dataset:
    """Read, render and group the corpora at `paths`: archives, folders, or a folder of archives.

    `first` takes only so many messages of each corpus, from its beginning; `synthetic` adds so many messages that
    we wrote ourselves. `tick` is told how many more messages are done.
    """
    rows: list[Row] = []
    for done in _rendered(_chunks(paths, first=first, synthetic=synthetic, seed=seed), limits):
        rows += done
        tick(len(done))
    if not rows:
        raise DataError("there is no mail to train on; name archives or folders with --corpus")
    return Dataset(
        rows=rows,
        group=groups(_telling(row) for row in rows),
        spam=np.array([row.spam for row in rows]),
        source=np.array([row.source for row in rows]),
    )


@dataclass(frozen=True, slots=True)
class _Mail:
    place: int
    mail: labelled_mail.Labelled


def _chunks(paths: Sequence[Path], *, first: int | None, synthetic: int, seed: int) -> Iterator[list[_Mail]]:
    for mails in (*map(_numbered, list(_archives(paths))), _written(synthetic, seed)):
        some = islice(mails, first)
        while chunk := list(islice(some, _CHUNK)):
            yield chunk


def _rendered(chunks: Iterator[list[_Mail]], limits: Limits) -> Iterator[list[Row]]:
    """The rows of each chunk, in order: by all cores as soon as there is enough for them to do."""
    few = list(islice(chunks, _ALONE))
    for chunk in few:
        yield _render(chunk, limits)
    if len(few) < _ALONE:
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
        finally:  # broken off: what nobody waits for need not be done
            pool.shutdown(cancel_futures=True)


def _archives(paths: Sequence[Path]) -> Iterator[Path]:
    """A folder of archives stands for the archives in it."""
    for path in paths:
        marks = (labelled_mail.INDEX, *labelled_mail.LABELS)
        if not path.is_dir() or any((path / mark).exists() for mark in marks):
            labelled_mail.split_label(path)  # says so now, not after an hour of other corpora, if there is nothing
            yield path
            continue
        inside = sorted(entry for entry in path.iterdir() if labelled_mail.ARCHIVE_NAME.search(entry.name))
        if not inside:
            raise NoInputError(
                f"{path}: no archive, no index.tsv and no ham/ and spam/ in it; name another --corpus, "
                f"or say '{path}:ham' or ':spam' if its mail is all of one kind"
            )
        yield from inside


def _numbered(path: Path) -> Iterator[_Mail]:
    return (_Mail(place, mail) for place, mail in enumerate(labelled_mail.read_labelled(path)))


def _written(count: int, seed: int) -> Iterator[_Mail]:
    if not count:
        return
    from .synthetic import generate

    for place, (label, raw, _) in enumerate(generate(seed=seed, count=count)):
        yield _Mail(place, labelled_mail.Labelled(f"{place:06}", label, SYNTHETIC, "", raw))


def _render(mails: list[_Mail], limits: Limits) -> list[Row]:
    return [
        Row(
            id=one.mail.id,
            source=one.mail.source.partition("/")[0],
            date=one.mail.date,
            place=one.place,
            spam=one.mail.label == "spam",
            windows=tuple(
                cut_windows(
                    render(parse_message(one.mail.raw)),
                    size=limits.window_bytes,
                    most=limits.windows,
                    style=limits.style,
                )
            ),
        )
        for one in mails
    ]


def _telling(row: Row) -> str:
    header, _, body = row.windows[0].partition(BODY)
    return body if len(body) >= _TELLING else f"{header[header.find('⟦from⟧') :]} {body}"


def _encode(row: Row, vocabulary: Vocabulary, limits: Limits) -> Example:
    parts = [vocabulary.split_ids(text, header=limits.header, body=limits.window) for text in row.windows]
    return Example(
        header=np.array(parts[0][0], np.uint16),
        windows=tuple(np.array(body, np.uint16) for _, body in parts),
        spam=row.spam,
    )
