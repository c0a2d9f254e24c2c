"""Reader processes, which parse and render mail on further cores while this process reads too and scores.

Reading holds Python's global interpreter lock, so threads would not help. One process with the network and a small one
for each further core use all cores in less memory than a network in each process. A reader gets chunks through a socket
and answers in order. If it dies, this process reads its chunks.
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
# Chunks that a reader has at once, so that it has work while this process reads or scores a chunk itself.
AHEAD = 3
# Chunks for each process that are not scored yet: those that are read may have to wait for an earlier one.
MOST_TASKS = 6
# Raw mail in all those chunks, in bytes. The daemon reads all of it before it turns to the mail of other users, and a
# hostile megabyte may take half a second.
MOST_BYTES = 1 << 20
# Seconds between two heartbeats while this process waits for an answer, and the number of these waits for one chunk.
# Ordinary mail takes a tenth of a second. A slower reader is ended and its chunks are read here, message by message, so
# that a message that never ends stops the heartbeats of this process.
TICK, MOST_TICKS = 1.0, 20

_START = "from spamlstm.model.reading import serve; serve()"


class ReaderProcess:
    """One small process that reads chunks and answers them in order."""

    def __init__(self) -> None:
        self._channel, theirs = Pipe()
        # The process inherits the blocked signal: Ctrl-C ends the command, which then ends its readers.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with theirs, contextlib.ExitStack() as unblock:
            unblock.callback(signal.pthread_sigmask, signal.SIG_SETMASK, blocked)
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                # -P: without it `-c` would import modules from the current folder first.
                [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=same_modules(),
            )
        self.unanswered = 0

    def give(self, reader: MessageReader, chunk: Chunk) -> None:
        """Send a chunk and how to read it. If that fails, `answer` returns None."""
        self.unanswered += 1
        with contextlib.suppress(OSError):
            self._channel.send((reader, chunk))

    def has_answered(self, *, within: float = 0.0) -> bool:
        """Return whether an answer has arrived, or arrives within `within` seconds. False if the channel is closed."""
        try:
            return self._channel.poll(within)
        except OSError:
            return False

    def answer(self, *, beat: Callable[[], None] = lambda: None) -> list[Reading] | None:
        """Return the readings of the oldest unanswered chunk; None if the process has ended or does not answer.

        Waits for at most MOST_TICKS ticks, with a heartbeat before each, and then ends the process.
        """
        self.unanswered -= 1
        for _ in range(MOST_TICKS):
            beat()
            if self.has_answered(within=TICK):
                break
        else:
            self._process.kill()
        # UnpicklingError: the process died in the middle of its answer.
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
    """A chunk that is read by a reader process, or was read in this process."""

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
        """Return whether `readings` would return at once."""
        return self._process is None or self._process.has_answered()

    def readings(self) -> list[Reading]:
        """Return the readings. Call it once for each task of a pool, in the order of `give`."""
        if self._process is None:
            return self._read
        readings = self._process.answer(beat=self._beat)
        return read_chunk(self._reader, self._chunk, beat=self._beat) if readings is None else readings


class ReaderPool:
    """A context manager for `count` reader processes, which may be 0. The processes start in the background."""

    def __init__(self, count: int) -> None:
        self._all: list[ReaderProcess] = []
        self.most_tasks = MOST_TASKS * max(1, count)
        for _ in range(count):
            # If no process may be started, this process reads everything.
            with contextlib.suppress(OSError):
                self._all.append(ReaderProcess())

    def has_room(self) -> bool:
        """Return whether a process can take another chunk."""
        return any(process.unanswered < AHEAD for process in self._all)

    def give(
        self, reader: MessageReader, chunk: Chunk, *, here: bool = False, beat: Callable[[], None] = lambda: None
    ) -> Task:
        """Give a chunk to the least busy process; if all are busy, or with `here`, read it in this process now."""
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
    """Return the environment in which another Python finds the same modules as this one.

    The current folder is left out unless PYTHONPATH names it or spamlstm is imported from it: Python puts it first in
    some cases, and then any file there can take the place of a module.
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
    """Return how many reader processes speed up this machine."""
    return max(0, min(MOST_READERS, len(os.sched_getaffinity(0)) - 1))
