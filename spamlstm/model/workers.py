"""Reader processes, which parse and render mail on further cores. The main process scores, and also reads.

Reading holds Python's global interpreter lock, so threads would not help. One process with the network and a small
process for each further core use all cores with less memory than a network in each process. A reader receives chunks
through a socket and answers in order. If a reader dies, the main process reads its chunks.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Self

from spamlstm.model.reading import Chunk, MessageReader, Reading, read_chunk

MOST_READERS = 3
# The maximum number of chunks queued at a reader, so that it has work while the main process reads or scores a chunk.
AHEAD = 3
# The maximum number of unscored chunks for each process. Chunks that are already read may have to wait for an earlier
# chunk.
MOST_TASKS = 6
# The maximum size of the raw mail in all unscored chunks, in bytes. The daemon reads all of this mail before the mail
# of other users, and reading a hostile message of 1 MB may take half a second.
MOST_BYTES = 1 << 20
# The seconds between two heartbeats while the main process waits for an answer, and the maximum number of such waits
# for one chunk. Ordinary mail takes 0.1 s. A slower reader is ended and its chunks are read in the main process,
# message by message. If reading a message never ends, the heartbeats of the main process stop.
TICK, MOST_TICKS = 1.0, 20

_START = "from spamlstm.model.reading import serve; serve()"


class ReaderProcess:
    """A small process that reads chunks and answers in order."""

    def __init__(self) -> None:
        self._channel, theirs = Pipe()
        # The process inherits the blocked SIGINT. Ctrl-C ends only the command, which then ends its readers.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with theirs, contextlib.ExitStack() as unblock:
            unblock.callback(signal.pthread_sigmask, signal.SIG_SETMASK, blocked)
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                # Without -P, `-c` would import modules from the current folder first.
                [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=same_modules(),
            )
        self.unanswered = 0

    def give(self, reader: MessageReader, chunk: Chunk) -> None:
        """Send a chunk and the reader to use. If sending fails, `answer` returns None."""
        self.unanswered += 1
        with contextlib.suppress(OSError):
            self._channel.send((reader, chunk))

    def has_answered(self, *, within: float = 0.0) -> bool:
        """Return whether an answer has arrived or arrives within `within` seconds.

        False if the channel is closed.
        """
        try:
            return self._channel.poll(within)
        except OSError:
            return False

    def answer(self, *, beat: Callable[[], None] = lambda: None) -> list[Reading] | None:
        """Return the readings of the oldest unanswered chunk, or None if the process has died or does not answer.

        Waits for at most MOST_TICKS ticks and calls `beat` before each. A process that has not answered by then is
        killed.
        """
        self.unanswered -= 1
        for _ in range(MOST_TICKS):
            beat()
            if self.has_answered(within=TICK):
                break
        else:
            self._process.kill()
        # The process may have died in the middle of its answer (UnpicklingError).
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            readings: list[Reading] = self._channel.recv()
            return readings
        return None

    def close(self) -> None:
        """Terminate the process and wait until it has ended."""
        self._process.terminate()
        self._channel.close()
        self._process.wait()


class Task:
    """A chunk that a reader process reads, or that was read in this process."""

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
        """Return whether `readings` would return without blocking."""
        return self._process is None or self._process.has_answered()

    def readings(self) -> list[Reading]:
        """Return the readings. Must be called once for each task of a pool, in the order of their creation."""
        if self._process is None:
            return self._read
        readings = self._process.answer(beat=self._beat)
        return read_chunk(self._reader, self._chunk, beat=self._beat) if readings is None else readings


class ReaderPool:
    """A pool of `count` reader processes, used as a context manager. The processes start in the background.

    With 0 processes, all chunks are read in this process.
    """

    def __init__(self, count: int) -> None:
        self._all: list[ReaderProcess] = []
        self.most_tasks = MOST_TASKS * max(1, count)
        for _ in range(count):
            # If no process can be started, this process reads all chunks.
            with contextlib.suppress(OSError):
                self._all.append(ReaderProcess())

    def has_room(self) -> bool:
        """Return whether a reader process can take another chunk."""
        return any(process.unanswered < AHEAD for process in self._all)

    def give(
        self, reader: MessageReader, chunk: Chunk, *, here: bool = False, beat: Callable[[], None] = lambda: None
    ) -> Task:
        """Assign a chunk to a reader process, and return the task.

        If no process has room or `here` is set, the chunk is read in this process immediately.
        """
        process = min(self._all, key=lambda one: one.unanswered) if not here and self.has_room() else None
        return Task(reader, chunk, process, beat=beat)

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all reader processes."""
        for process in self._all:
            process.close()


def same_modules() -> dict[str, str]:
    """Return an environment in which another Python process finds the same modules as this process.

    The current folder is excluded unless PYTHONPATH names it or spamlstm is imported from it. Python may put the
    current folder first, and then any file in it could replace a module.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed
        here = None
    named = (Path(path).resolve() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)
    wanted = {Path(__file__).resolve().parents[2], *named}
    paths = dict.fromkeys(Path(path).resolve() if path else here for path in sys.path)
    kept = [str(path) for path in paths if path and (path != here or path in wanted)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(kept)}


def further_cores() -> int:
    """Return the useful number of reader processes on this machine."""
    return max(0, min(MOST_READERS, len(os.sched_getaffinity(0)) - 1))
