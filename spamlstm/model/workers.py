"""Other processes that read mail beside this one, which reads too but also scores.

Reading is Python and holds the interpreter, so threads would not help. One process with the network and a light one for
each further core keep all cores at work, in less memory than a network in each would take. A reader gets chunks through
a socket and answers them in their order. One that dies costs nothing but speed: its chunks are read here.
"""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Self

from spamlstm.model.reading import Chunk, MessageReader, Reading, read_chunk

MOST_READERS = 3
# Chunks that a reader has at once: it must not run dry while this process reads or scores one itself.
AHEAD = 3
# Chunks that are out or read and not scored yet, for each process: those read may wait for one before them.
MOST_TASKS = 6
# Raw mail in all those chunks, in bytes. It is read to its end before the daemon turns to the mail of others,
# and a hostile megabyte may take half a second.
MOST_BYTES = 1 << 20
# Seconds between two heartbeats while an answer is waited for, and how many a reader has for one chunk. Ordinary mail
# takes a tenth of a second. A reader that takes longer is ended and its chunks are read here, message by message, so
# that a message that never ends stops the heartbeats of this process.
TICK, MOST_TICKS = 1.0, 20

_START = "from spamlstm.model.reading import serve; serve()"


class ReaderProcess:
    """One light process that reads chunks; each that it was given gets an answer, in their order."""

    def __init__(self) -> None:
        self._channel, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                [sys.executable, "-c", _START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=same_modules(),
            )
        self.unanswered = 0

    def give(self, reader: MessageReader, chunk: Chunk) -> None:
        """Send a chunk and how to read it. Where that fails the answer will say so."""
        self.unanswered += 1
        with contextlib.suppress(OSError):
            self._channel.send((reader, chunk))

    def has_answered(self, *, within: float = 0.0) -> bool:
        """Whether `answer` would not wait, or will not after so many seconds. False if the channel is closed."""
        try:
            return self._channel.poll(within)
        except OSError:
            return False

    def answer(self, *, beat: Callable[[], None] = lambda: None) -> list[Reading] | None:
        """What was read of each message of the chunk that was given first; None if the process is gone, or stuck.

        Waits for at most MOST_TICKS ticks, with a heartbeat before each, and then ends the process.
        """
        self.unanswered -= 1
        for _ in range(MOST_TICKS):
            beat()
            if self.has_answered(within=TICK):
                break
        else:
            self._process.kill()
        # An answer that ends in its middle is no pickle.
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            readings: list[Reading] = self._channel.recv()
            return readings
        return None

    def close(self) -> None:
        """End the process and wait for its end."""
        self._process.terminate()
        self._channel.close()
        self._process.wait()


class Task:
    """A chunk that was given to somebody to be read."""

    def __init__(
        self,
        reader: MessageReader,
        chunk: Chunk,
        process: ReaderProcess | None,
        *,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader = reader
        self._chunk = chunk
        self._process = process
        self._beat = beat
        if process is None:
            self._read = read_chunk(reader, chunk, beat=beat)
        else:
            process.give(reader, chunk)

    def is_done(self) -> bool:
        """Whether `readings` would not wait."""
        return self._process is None or self._process.has_answered()

    def readings(self) -> list[Reading]:
        """What was read. Of the tasks of one pool in the order in which they were given, and once."""
        if self._process is None:
            return self._read
        readings = self._process.answer(beat=self._beat)
        return read_chunk(self._reader, self._chunk, beat=self._beat) if readings is None else readings


class ReaderPool:
    """A few reader processes, which begin to start with it; with a count of 0, none. Used in `with`."""

    def __init__(self, count: int) -> None:
        self._all: list[ReaderProcess] = []
        self.most_tasks = MOST_TASKS * max(1, count)
        for _ in range(count):
            # Without leave to start a process all is read here.
            with contextlib.suppress(OSError):
                self._all.append(ReaderProcess())

    def has_room(self) -> bool:
        """Whether a process has too little to do."""
        return any(process.unanswered < AHEAD for process in self._all)

    def give(
        self, reader: MessageReader, chunk: Chunk, *, here: bool = False, beat: Callable[[], None] = lambda: None
    ) -> Task:
        """Have a chunk read: by a process that has too little to do, else (or if `here`) in this process and now."""
        process = min(self._all, key=lambda one: one.unanswered) if not here and self.has_room() else None
        return Task(reader, chunk, process, beat=beat)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all readers, however the work ended."""
        for process in self._all:
            process.close()


def same_modules() -> dict[str, str]:
    """The environment in which another Python finds the modules that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


def further_cores() -> int:
    """How many reader processes are of use on this machine."""
    return max(0, min(MOST_READERS, len(os.sched_getaffinity(0)) - 1))
