"""Chunks of mail: messages that are read and scored together, each with its key.

Chunks are read in this process or, if there are many messages, by reader processes too.
"""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from spamlstm.model.reading import MessageReader, Reading, Source, read_chunk

if TYPE_CHECKING:
    from spamlstm.model.workers import ReaderPool, Task

# The maximum number of messages in a chunk. It is large enough to group windows of similar length in batches, and small
# enough to show progress and to limit memory.
CHUNK = 64
# The maximum size of the raw mail in a chunk, in bytes. A larger message is a chunk of its own. The mail of other users
# waits until a chunk is completely read, and reading a hostile message of 1 MB can take half a second.
CHUNK_BYTES = 1 << 20
# Reader processes take 0.1 s to start, so they do not speed up runs of at most this many messages.
HELP_AFTER = 128

K = TypeVar("K")
T = TypeVar("T")


@dataclass(slots=True)
class MailChunk(Generic[K]):
    """Messages with their keys. `size` is the total size of the messages passed as bytes."""

    keys: list[K] = field(default_factory=list)
    sources: list[bytes | Source] = field(default_factory=list)
    """The messages. They are removed as soon as they are read, because `Reading` has what is scored."""
    size: int = 0
    without: list[tuple[int, K]] = field(default_factory=list)
    """The keys without mail, in order, each with its index among all keys."""

    def in_order(self, results: list[T], without_mail: Callable[[K], T]) -> list[T]:
        """Insert results for the keys without mail into `results` at their original positions. Return `results`."""
        for at, key in self.without:
            results.insert(at, without_mail(key))
        return results


ReadChunk: TypeAlias = tuple[MailChunk[K], list[Reading]]
"""A chunk with the readings of its messages."""


def read_chunks(
    reader: MessageReader,
    mails: Iterable[tuple[K, bytes | Source | None]],
    *,
    readers: "int | ReaderPool | None",
    beat: Callable[[], None],
) -> Generator[ReadChunk[K], None, None]:
    """Yield chunks of (key, mail) pairs with their readings, lazily and in order.

    `readers` and `beat` are the parameters of `Classifier.classify_many`.
    """
    chunks = _chunks(mails)
    if not (readers is None or isinstance(readers, int)):
        yield from _side_by_side(reader, chunks, readers, beat)
        return
    yield from _in_turn(reader, chunks if readers == 0 else _first(chunks, HELP_AFTER), beat)
    if (following := next(chunks, None)) is not None:
        from spamlstm.model.workers import ReaderPool, further_cores  # takes 5 ms, not needed for small runs

        rest = itertools.chain([following], chunks)
        del following  # otherwise it stays in memory to the end
        with ReaderPool(further_cores() if readers is None else readers) as pool:
            yield from _side_by_side(reader, rest, pool, beat)


def _in_turn(reader: MessageReader, chunks: Iterator[MailChunk[K]], beat: Callable[[], None]) -> Iterator[ReadChunk[K]]:
    for chunk in chunks:
        readings = read_chunk(reader, chunk.sources, beat=beat)
        chunk.sources.clear()
        yield chunk, readings
        del chunk, readings  # otherwise they stay in memory during the next read


def _side_by_side(
    reader: MessageReader, chunks: Iterator[MailChunk[K]], pool: "ReaderPool", beat: Callable[[], None]
) -> Iterator[ReadChunk[K]]:
    """Yield all chunks with their readings, in order. Chunks are read by reader processes and by this process.

    This process first fills the queues of the readers. It then yields the oldest chunk, for scoring, if a reader has
    read it, and otherwise reads a new chunk itself. All cores are therefore busy, whether reading or scoring takes
    longer.
    """
    from spamlstm.model.workers import MOST_BYTES

    line: deque[tuple[MailChunk[K], Task]] = deque()
    more, size = True, 0
    while line or more:
        may_read = more and len(line) < pool.most_tasks and size < MOST_BYTES
        if may_read and (pool.has_room() or not line or not line[0][1].is_done()):
            if chunk := next(chunks, None):
                # Sending a large message to another process takes as long as reading the message, and uses more
                # memory.
                here = chunk.size > CHUNK_BYTES
                line.append((chunk, pool.give(reader, chunk.sources, here=here, beat=beat)))
                size += chunk.size
            more = chunk is not None
        else:
            chunk, task = line.popleft()
            size -= chunk.size
            readings = task.readings()
            chunk.sources.clear()
            yield chunk, readings
            del chunk, task, readings  # as in _in_turn


def _first(chunks: Iterator[MailChunk[K]], messages: int) -> Iterator[MailChunk[K]]:
    """Yield the chunks of the first `messages` messages. The remaining chunks stay in `chunks`."""
    given = 0
    while given < messages and (chunk := next(chunks, None)) is not None:
        given += len(chunk.keys)
        yield chunk


def _chunks(mails: Iterable[tuple[K, bytes | Source | None]]) -> Iterator[MailChunk[K]]:
    chunk: MailChunk[K] = MailChunk()
    for key, source in mails:
        size = len(source) if isinstance(source, bytes) else 0
        if chunk.keys and chunk.size + size > CHUNK_BYTES:
            yield chunk
            chunk = MailChunk()
        if source is None:
            chunk.without.append((len(chunk.keys) + len(chunk.without), key))
        else:
            chunk.keys.append(key)
            chunk.sources.append(source)
        chunk.size += size
        del key, source
        if len(chunk.keys) + len(chunk.without) == CHUNK or chunk.size > CHUNK_BYTES:
            yield chunk
            chunk = MailChunk()
    if chunk.keys or chunk.without:
        yield chunk
